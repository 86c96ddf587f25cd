"""How the processes of a computer reach each other: over UDP, not through shared memory.

Fast DDS keeps locks in shared memory. A process that is killed while it holds one (by the fault
`crash`, by its supervisor, by a kernel out of memory) keeps whoever sends something to it waiting
for one to two seconds, and gates are among those. UDP has nothing that the dead could hold.

`rmw_fastrtps` of Jazzy adds shared memory by itself whenever the discovery range is LOCALHOST. So a
profile of Fast DDS says here what that range means, and the range is left to it.
"""

import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from eir_ros.contract.errors import EirError

#: Name of the profile's file in the folder of a run.
PROFILE_FILE: Final = "fastdds.xml"

_RANGE: Final = "ROS_AUTOMATIC_DISCOVERY_RANGE"
#: The range LOCALHOST in the words of older distributions; it outdoes the range where it is set.
_ONLY_HERE: Final = "ROS_LOCALHOST_ONLY"
_MIDDLEWARE: Final = "RMW_IMPLEMENTATION"
_FAST_DDS: Final = ("", "rmw_fastrtps_cpp", "rmw_fastrtps_dynamic_cpp")
_TRANSPORT: Final = "FASTDDS_BUILTIN_TRANSPORTS"
_PEERS: Final = "ROS_STATIC_PEERS"
_SERVER: Final = "ROS_DISCOVERY_SERVER"
#: Where Fast DDS 2 and 3 find a profile.
_PROFILES: Final = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
_KNOWN: Final = (_RANGE, _ONLY_HERE, _MIDDLEWARE, _TRANSPORT, _PEERS, _SERVER, *_PROFILES)

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
            <locator><udpv4/></locator>
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


@dataclass(frozen=True)
class Transport:
    """What processes are told about it; `write` it where they shall find it."""

    #: Variables of their environment.
    variables: Mapping[str, str] = field(default_factory=dict)
    #: Text of a profile of Fast DDS; None: none is needed.
    profile: str | None = None

    def write(self, folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
        """Write the profile, if any, into an existing folder; return the whole environment."""
        # set to nothing is not set, for ROS and for Fast DDS
        kept = {name: text for name, text in environment.items() if text or name not in _KNOWN}
        if self.profile is None:
            return {**self.variables, **kept}
        file = folder / PROFILE_FILE
        file.write_text(self.profile, encoding="utf-8")
        kept.pop(_ONLY_HERE, None)
        return {**kept, **self.variables, **dict.fromkeys(_PROFILES, str(file))}


def over_udp(environment: Mapping[str, str], *, here: bool, peers: Iterable[str] = ()) -> Transport:
    """Choose how processes that inherit `environment` reach each other; what is set there is kept.

    Parameters
    ----------
    here
        Whether the processes stay on this computer unless the discovery range says otherwise.
    peers
        Addresses of other computers that they speak with; with any, nothing is sent to everybody.

    Raises
    ------
    EirError
        A peer's name has no address.
    """
    given = {name: environment.get(name, "") for name in _KNOWN}
    peers, has_profile = tuple(peers), any(given[name] for name in _PROFILES)
    scope = "LOCALHOST" if given[_ONLY_HERE] == "1" else given[_RANGE]
    own_way = (
        has_profile
        or given[_MIDDLEWARE] not in _FAST_DDS
        or given[_TRANSPORT] not in ("", "UDPv4")
        or bool(given[_PEERS] or given[_SERVER])
    )
    if not own_way and (scope == "LOCALHOST" or (not scope and (here or peers))):
        # the last two for whoever cannot read the profile, and against another one that is about
        fixed = {_RANGE: "SYSTEM_DEFAULT", _TRANSPORT: "UDPv4", "SKIP_DEFAULT_XML_FILE": "1"}
        return Transport(fixed, profile([_address(peer) for peer in peers]))
    variables = {} if has_profile else {_TRANSPORT: "UDPv4"}
    if here:
        variables[_RANGE] = "LOCALHOST"
    elif peers and not given[_SERVER]:
        variables |= {_RANGE: "LOCALHOST", _PEERS: ";".join(peers)}
    return Transport(variables)


def profile(peers: Iterable[str] = ()) -> str:
    """Return a profile of Fast DDS: UDP with this computer and these `peers`, no multicast.

    Parameters
    ----------
    peers
        IPv4 addresses of other computers. Without any, not even a socket is open to them.
    """
    peers = tuple(peers)
    return _PROFILE.format(
        processes=_THERE if peers else _HERE,
        interfaces="" if peers else _INTERFACES,
        peers="".join(_PEER.format(address=address) for address in (_LOOPBACK, *peers)),
    )


def _address(peer: str) -> str:
    """The IPv4 address of a peer: Fast DDS drops a whole profile for one name without any."""
    try:
        return socket.gethostbyname(peer)
    except OSError as error:
        raise EirError(
            f"the host '{peer}' cannot be found ({error.strerror}); expected an IPv4 address, or "
            "a name that this computer can resolve, under `hosts` of the roster."
        ) from error
