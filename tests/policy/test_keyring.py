"""The keys of hosts through their life: made, shared, added to, rotated, revoked."""

import pytest

from eir_ros.contract.errors import EirError
from eir_ros.policy import keyring, signing

HOSTS = ["operator", "r0", "r1"]


@pytest.fixture
def folder(tmp_path):
    keyring.make_keyring(tmp_path / "keys", HOSTS)
    return tmp_path / "keys"


def fingerprints(folder, host):
    known = signing.load_trusted_keys(folder / host)
    return {name: signing.fingerprint(key) for name, key in known.items()}


def test_a_host_has_the_private_key_of_another(folder):
    for host in HOSTS:
        assert [path.name for path in (folder / host).glob("*.key")] == [f"{host}.key"]
        assert (folder / host / f"{host}.key").stat().st_mode & 0o077 == 0


def test_hosts_disagree_about_who_is_who(folder):
    first = fingerprints(folder, "operator")
    assert set(first) == set(HOSTS)
    assert len(set(first.values())) == len(HOSTS)
    assert all(fingerprints(folder, host) == first for host in HOSTS)
    own = signing.load_private_key(folder / "r1" / "r1.key").public_key()
    assert signing.fingerprint(own) == first["r1"]


def test_a_host_that_comes_later_is_a_stranger(folder):
    keyring.add(folder, "r2")
    assert all(set(fingerprints(folder, host)) == {*HOSTS, "r2"} for host in (*HOSTS, "r2"))
    with pytest.raises(EirError, match=r"r2 has keys in .* already"):
        keyring.add(folder, "r2")


def test_an_old_key_counts_after_a_rotation(folder):
    before = fingerprints(folder, "operator")
    keyring.rotate(folder, "r1")
    after = fingerprints(folder, "operator")
    assert after["r1"] != before["r1"]
    assert {**after, "r1": ""} == {**before, "r1": ""}
    assert fingerprints(folder, "r0") == after


def test_a_lost_robot_is_still_known(folder):
    keyring.revoke(folder, "r1")
    assert all("r1" not in fingerprints(folder, host) for host in ("operator", "r0"))
    with pytest.raises(EirError, match="r1 has no keys in"):
        keyring.revoke(folder, "r1")


def test_keys_are_made_over_others(folder, tmp_path):
    with pytest.raises(EirError, match="holds something already"):
        keyring.make_keyring(folder, HOSTS)
    with pytest.raises(EirError, match="no keys of hosts here"):
        keyring.add(tmp_path / "nowhere", "r2")


def test_private_keys_are_needed_to_go_on(folder):
    for key in folder.glob("*/*.key"):
        key.unlink()
    keyring.add(folder, "r2")
    assert set(fingerprints(folder, "r0")) == {*HOSTS, "r2"}
