"""What `--secure` asks for before anything starts."""

import os
import subprocess
import sys
from pathlib import Path

from eir_ros.contract.errors import EirError
from eir_ros.policy import signing
from eir_ros.swarm.enclaves import COMPANY
from eir_ros.swarm.options import Options
from eir_ros.swarm.roster import OPERATOR


def check_protection(options: Options) -> None:
    """Refuse, with an `EirError`, what the options cannot protect.

    On one machine a secure swarm needs nothing but to stay off the network. On several, the hosts
    need keys. And whoever holds the demonstration key, which is everybody, must not be able to
    give the robots a policy.
    """
    if options.keys is not None:
        if options.host is None:
            raise EirError(
                "--keys joins several hosts; say with --host which one this is. A swarm on one "
                "machine needs none."
            )
        # read here, so that the mistake is known before anything starts
        own = options.keys / f"{options.host}.key"
        others = sorted(path.stem for path in options.keys.glob("*.key"))
        if others and not own.exists():
            raise EirError(
                f"{options.keys} is the folder of keys of host {' and '.join(others)}, and this "
                f"is to be '{options.host}'; give that host's own."
            )
        signing.load_private_key(own)
        known = signing.load_trusted_keys(options.keys)
        if options.host != OPERATOR and OPERATOR not in known:
            raise EirError(f"{options.keys}: there is no {OPERATOR}.pub, whose orders would count.")
    if options.keystore is not None:
        check_keystore(options.keystore)
        if options.keys is not None:
            raise EirError("--keys and --keystore are two protections of one thing; give one.")
    if not options.secure:
        return
    if options.host is not None and options.keys is None and options.keystore is None:
        raise EirError(
            "--secure refuses to join hosts unprotected: whoever is on the network could drive "
            "the robots. Make keys with 'eir security init' and give --keys, or leave out "
            "--secure on a network that you trust."
        )
    trusted = signing.load_trusted_keys(options.trusted_keys or signing.default_trusted_keys())
    if any(map(signing.is_demonstration, trusted.values())):
        raise EirError(
            "--secure refuses the demonstration key, whose private half everybody has: sign the "
            "bundle with a key of your own ('eir bundle keygen', 'eir bundle sign') and give "
            "--trusted-keys with its public half alone."
        )


def security_environment(keystore: Path) -> dict[str, str]:
    """Return what makes every process refuse to speak without DDS security."""
    return {
        "ROS_SECURITY_KEYSTORE": str(keystore),
        "ROS_SECURITY_ENABLE": "true",
        "ROS_SECURITY_STRATEGY": "Enforce",
    }


#: Joins the graph in an enclave, or says why it cannot.
_PROBE = """
import sys, rclpy
from rclpy.node import Node
rclpy.init(args=["--ros-args", "--disable-external-lib-logs", "--enclave", sys.argv[1]])
Node("eir_company", enable_rosout=False, start_parameter_services=False)
"""


def check_keystore(keystore: Path) -> None:
    """Find out by trying whether DDS security works here with `keystore`.

    Raises
    ------
    EirError
        It does not: this middleware is built without it, as that of the wheels is, or the
        keystore lacks something.
    """
    tried = subprocess.run(
        [sys.executable, "-c", _PROBE, COMPANY],
        env={**os.environ, **security_environment(keystore)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode == 0:
        return
    said = tried.stderr
    if "doesn't have the security libraries" in said:
        raise EirError(
            "this ROS 2 has no DDS security (that of the wheels is built without); use a ROS 2 of "
            "a distribution, or give --keys instead of --keystore."
        )
    lines = [line for line in said.splitlines() if line.strip()] or ["no reason was given"]
    raise EirError(
        f"DDS security cannot be enforced with {keystore} ({lines[-1].strip()}); make it with "
        "'eir security sros2'."
    )
