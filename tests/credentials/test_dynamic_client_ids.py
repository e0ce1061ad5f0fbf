"""Client ids that contain their app."""

import pytest

from herod.credentials.apps.dynamic_client_ids import (
    MAX_CLIENT_ID_BYTES,
    PREFIX,
    SHORT_CHARS,
    DynamicApp,
    client_id_prefix,
    dynamic_secret,
    looks_dynamic,
    open_client_id,
    seal_client_id,
)
from herod.credentials.keyring import Keyring
from herod_client.core.key_format import has_checksum, looks_like_client_secret, looks_like_key

KEYRING = Keyring(bytes(32))
OTHER_KEYRING = Keyring(b"\1" * 32)
APP = DynamicApp("Claude Code", ("http://localhost:4711/callback",), ("authorization_code", "refresh_token"), "none")


def test_round_trip() -> None:
    """An id gives back the app that it was made of."""
    client_id = seal_client_id(KEYRING, APP)
    assert open_client_id(KEYRING, client_id) == APP
    assert looks_dynamic(client_id)
    assert not looks_like_key(client_id)


def test_each_is_new() -> None:
    """Two registrations of one app have different ids, also in their short form."""
    ids = [seal_client_id(KEYRING, APP) for _ in range(50)]
    assert len(set(ids)) == len({client_id_prefix(one) for one in ids}) == 50
    assert {len(client_id_prefix(one)) for one in ids} == {SHORT_CHARS}


def test_only_ones_own_open() -> None:
    """An id of another store, with other keys, does not open."""
    assert open_client_id(OTHER_KEYRING, seal_client_id(KEYRING, APP)) is None


def test_every_changed_character_is_noticed() -> None:
    """An id with any character changed, left out or added does not open."""
    client_id = seal_client_id(KEYRING, APP)
    for at, character in enumerate(client_id):
        changed = "A" if character != "A" else "B"
        assert open_client_id(KEYRING, client_id[:at] + changed + client_id[at + 1 :]) is None
        assert open_client_id(KEYRING, client_id[:at] + client_id[at + 1 :]) is None
    for more in ("A", "=", " ", "\n", "\0"):
        assert open_client_id(KEYRING, client_id + more) is None


def test_one_spelling() -> None:
    """An id has no other spelling: unused bits of its last character must be zero."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for name in ("a", "ab", "abc"):
        client_id = seal_client_id(KEYRING, DynamicApp(name, (), (), "none"))
        opened = [last for last in alphabet if open_client_id(KEYRING, client_id[:-1] + last) is not None]
        assert opened == [client_id[-1]]


@pytest.mark.parametrize(
    "text", ["", PREFIX, f"{PREFIX}A", f"{PREFIX}AAAA", f"{PREFIX}é", f"{PREFIX}{'A' * 2000}", "\ud800", "herod_u_x"]
)
def test_what_is_none(text: str) -> None:
    """Texts that herod did not make open nothing, and raise nothing."""
    assert open_client_id(KEYRING, text) is None


def test_length_is_bounded() -> None:
    """An id has at most a kilobyte."""
    fits = DynamicApp("n" * 600, (), (), "none")
    assert len(seal_client_id(KEYRING, fits)) <= MAX_CLIENT_ID_BYTES == 1024
    with pytest.raises(ValueError, match="at most 1024 bytes"):
        seal_client_id(KEYRING, DynamicApp("n" * 1000, (), (), "none"))


def test_secret() -> None:
    """A secret belongs to one id and one store, and has the form of a client secret."""
    client_id, other = seal_client_id(KEYRING, APP), seal_client_id(KEYRING, APP)
    secret = dynamic_secret(KEYRING, client_id)
    assert secret == dynamic_secret(KEYRING, client_id)
    assert len({secret, dynamic_secret(KEYRING, other), dynamic_secret(OTHER_KEYRING, client_id)}) == 3
    assert looks_like_client_secret(secret)
    assert has_checksum(secret)
