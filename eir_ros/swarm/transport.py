"""How the processes of a computer reach each other: over UDP, not through shared memory.

Fast DDS keeps locks in shared memory. A process that is killed while it holds one (by the fault
`crash`, by its supervisor, by a kernel out of memory) keeps whoever sends something to it waiting
for one to two seconds, and gates are among those. UDP has nothing that the dead could hold.

`rmw_fastrtps` of Jazzy adds shared memory by itself whenever the discovery range is LOCALHOST. So a
profile of Fast DDS says here what that range means, and the range is left to it.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

#: Name of the profile's file in the folder of a run.
PROFILE_FILE: Final = "fastdds.xml"

#: Where Fast DDS 2 and 3 find a profile.
PROFILE_VARIABLES: Final = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
_RANGE: Final = "ROS_AUTOMATIC_DISCOVERY_RANGE"
_OWN_WAYS: Final = (
    *PROFILE_VARIABLES,
    "FASTDDS_BUILTIN_TRANSPORTS",
    "ROS_DISCOVERY_SERVER",
    "ROS_STATIC_PEERS",
)

#: Processes of one domain that are looked for here, and on each other computer, where every one
#: costs a packet every three seconds.
_HERE, _THERE = 64, 32

_PROFILE: Final = """\
<?xml version="1.0" encoding="UTF-8"?>
<dds xmlns="http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles">
  <profiles>
    <transport_descriptors>
      <transport_descriptor>
        <transport_id>udp</transport_id>
        <type>UDPv4</type>
        <maxInitialPeersRange>{processes}</maxInitialPeersRange>{interfaces}
      </transport_descriptor>
    </transport_descriptors>
    <participant profile_name="eir_ros" is_default_profile="true">
      <rtps>
        <useBuiltinTransports>false</useBuiltinTransports>
        <userTransports>
          <transport_id>udp</transport_id>
        </userTransports>
        <builtin>
          <!-- any address to be found at, so that nothing is received by multicast -->
          <metatrafficUnicastLocatorList>
            <locator/>
          </metatrafficUnicastLocatorList>
          <initialPeersList>{peers}
          </initialPeersList>
        </builtin>
      </rtps>
    </participant>
  </profiles>
</dds>
"""
_LOOPBACK: Final = "127.0.0.1"
_INTERFACES: Final = f"""
        <interfaceWhiteList>
          <address>{_LOOPBACK}</address>
        </interfaceWhiteList>"""
_PEER: Final = """
            <locator>
              <udpv4>
                <address>{address}</address>
              </udpv4>
            </locator>"""


def profile(peers: Iterable[str] = ()) -> str:
    """Return a profile of Fast DDS: UDP with this computer and these `peers`, no multicast.

    Parameters
    ----------
    peers
        IPv4 addresses or names of other computers. Without any, not even a socket is open to them.
    """
    peers = tuple(peers)
    return _PROFILE.format(
        processes=_THERE if peers else _HERE,
        interfaces="" if peers else _INTERFACES,
        peers="".join(_PEER.format(address=address) for address in (_LOOPBACK, *peers)),
    )


def over_udp(
    environment: Mapping[str, str], file: Path, *, here: bool, peers: Iterable[str] = ()
) -> tuple[dict[str, str], str | None]:
    """Return `environment` with what its processes need, and the profile to be written to `file`.

    What the user has set is kept. There is no profile (None) for processes that look around on
    their network, and for who has a middleware, a profile or a way of discovery of their own.

    Parameters
    ----------
    here
        Whether the processes stay on this computer unless the discovery range says otherwise.
    peers
        Addresses of other computers that they speak with; with any, nothing is sent to everybody.
    """
    peers, scope = tuple(peers), environment.get(_RANGE)
    fast_dds = environment.get("RMW_IMPLEMENTATION") in (None, "", "rmw_fastrtps_cpp")
    own_way = not fast_dds or any(environment.get(name) for name in _OWN_WAYS)
    if not own_way and (scope == "LOCALHOST" or (not scope and (here or peers))):
        chosen = {**dict.fromkeys(PROFILE_VARIABLES, str(file)), _RANGE: "SYSTEM_DEFAULT"}
        return {**environment, **chosen}, profile(peers)
    defaults = {_RANGE: "LOCALHOST"} if here else {}
    if peers and not environment.get("ROS_DISCOVERY_SERVER"):
        defaults = {_RANGE: "LOCALHOST", "ROS_STATIC_PEERS": ";".join(peers)}
    if not any(environment.get(name) for name in PROFILE_VARIABLES):
        defaults["FASTDDS_BUILTIN_TRANSPORTS"] = "UDPv4"
    return {**defaults, **environment}, None
