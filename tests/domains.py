"""ROS domains that no other run on this network has."""

import os
import socket

#: A domain is claimed for as long as its socket is open: until the process ends.
_claims: list[socket.socket] = []


def claim_domain() -> int:
    """One more ROS domain of one's own.

    An abstract socket's name is taken per network namespace, as are the ports of DDS: containers
    that share a network see each other's claims, whatever their process numbers.
    """
    # domains 1 to 100 keep clear of the ports that Linux hands out itself
    for attempt in range(100):
        domain = 1 + (os.getpid() + attempt) % 100
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0eir_ros_tests_{domain}")
        except OSError:
            claim.close()
        else:
            _claims.append(claim)
            # one that was given from outside is nobody's claim, and in use all the same
            if str(domain) != os.environ.get("ROS_DOMAIN_ID"):
                return domain
    raise RuntimeError("no ROS domain is free: a hundred test runs are on this machine")
