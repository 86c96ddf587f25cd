"""What `--secure` asks for before anything starts."""

from eir_ros.contract.errors import EirError
from eir_ros.policy import signing
from eir_ros.swarm.plan import Options
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
        signing.load_private_key(options.keys / f"{options.host}.key")
        known = signing.load_trusted_keys(options.keys)
        if options.host != OPERATOR and OPERATOR not in known:
            raise EirError(f"{options.keys}: there is no {OPERATOR}.pub, whose orders would count.")
    if not options.secure:
        return
    if options.host is not None and options.keys is None:
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
