"""The keys of hosts: a folder for each, with its own key and everybody's public ones.

    keys/operator/   operator.key  operator.pub  r0.pub  r1.pub  ...
    keys/r0/         r0.key        operator.pub  r0.pub  r1.pub  ...

A folder is copied to its host, and its private key then deleted here; what stays is enough to add,
rotate and revoke. Who loses a private key loses one host's name, and no other's.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

from eir_ros.contract.errors import EirError
from eir_ros.policy import signing


def make_keyring(folder: Path, hosts: Iterable[str]) -> list[Path]:
    """Make keys for `hosts` in a new `folder`; return the folders of the hosts.

    Raises
    ------
    EirError
        `folder` exists and holds something, or cannot be written.
    """
    if folder.exists() and any(folder.iterdir()):
        raise EirError(
            f"{folder} holds something already; choose a new folder, or 'eir security add' a host."
        )
    hosts = list(hosts)
    for host in hosts:
        signing.generate_key(folder / host, host)
    for host in hosts:
        _share(folder, host)
    return [folder / host for host in hosts]


def add(folder: Path, host: str) -> Path:
    """Make a key for one more host, which all others then know; return its folder.

    Raises
    ------
    EirError
        `folder` is no keyring, or the host has keys already.
    """
    others = hosts_of(folder)
    if host in others:
        raise EirError(f"{host} has keys in {folder} already; 'eir security rotate' replaces them.")
    signing.generate_key(folder / host, host)
    for other in others:
        _share(folder, other)
    _share(folder, host)
    return folder / host


def rotate(folder: Path, host: str) -> Path:
    """Give a host a new key; the old one counts no more wherever the new folders are copied to."""
    revoke(folder, host)
    return add(folder, host)


def revoke(folder: Path, host: str) -> None:
    """Take a host's keys away; who still has its public one must be given its folder anew.

    Raises
    ------
    EirError
        `folder` is no keyring, or the host has no keys in it.
    """
    if host not in hosts_of(folder):
        raise EirError(f"{host} has no keys in {folder}; it has {', '.join(hosts_of(folder))}.")
    shutil.rmtree(folder / host)
    for other in hosts_of(folder):
        (folder / other / f"{host}.pub").unlink(missing_ok=True)


def hosts_of(folder: Path) -> list[str]:
    """The hosts that have keys in `folder`; `EirError` when it is no keyring."""
    found = [path.parent.name for path in sorted(folder.glob("*/*.pub"))]
    own = [host for host in dict.fromkeys(found) if (folder / host / f"{host}.pub").is_file()]
    if not own:
        raise EirError(f"{folder}: no keys of hosts here; make them with 'eir security init'.")
    return own


def _share(folder: Path, host: str) -> None:
    """Copy the public key of `host` to all, and those of all to `host`."""
    for other in hosts_of(folder):
        if other == host:
            continue
        shutil.copy(folder / host / f"{host}.pub", folder / other)
        shutil.copy(folder / other / f"{other}.pub", folder / host)
