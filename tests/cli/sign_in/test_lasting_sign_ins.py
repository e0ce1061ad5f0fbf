"""Staying signed in: who renews a session, when, and what is left when it has ended."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.sign_in.conftest import ISSUER, SignInDaemon
from herod_cli.exit_codes import FailureError
from herod_cli.sign_in.saved_sign_ins import SavedSignIns, SignIn, changing
from support.fake_daemon import RpcError, fake_daemon, json_reply
from support.real_daemon import herod as command

Typed = Callable[..., Any]
Save = Callable[..., None]
LOGIN = ("login", "--email", "ada@example.org", "--password-file", "-")


def _session(kept: Path) -> dict[str, Any]:
    ((found),) = json.loads(kept.read_text())["sign_ins"].values()
    session: dict[str, Any] = found["lasting"]
    return session


def test_a_live_token_is_presented(signing: SignInDaemon, signed_in: Save, herod: Typed) -> None:
    """While its access token lives, a session costs no request."""
    signed_in()
    assert herod("key", "list").code == 0
    (asked,) = signing.daemon.asked
    assert asked.authorization == "Bearer eyJ.access.1"


def test_it_is_renewed(signing: SignInDaemon, signed_in: Save, herod: Typed, kept: Path) -> None:
    """A session whose access token has ended, or nearly so, is renewed and saved before it is used."""
    signed_in(expires_at=int(time.time()) + 20)
    assert herod("key", "list").code == 0
    metadata, refresh, used = signing.daemon.asked
    assert metadata.path == "/.well-known/oauth-authorization-server"
    assert refresh.form == {
        "grant_type": "refresh_token", "client_id": "herod-cli", "refresh_token": "herod_r_1",
    }  # fmt: skip
    assert refresh.authorization is None
    assert used.authorization == "Bearer eyJ.access.2"
    assert _session(kept)["refresh_token"] == "herod_r_2"
    assert herod("key", "list").code == 0
    assert len(signing.daemon.asked) == 4


def test_a_token_that_ends_before_its_time(signing: SignInDaemon, signed_in: Save, herod: Typed) -> None:
    """If the daemon refuses the token, as after a change of its keys, it is renewed once and the call repeated."""
    signed_in()
    answers = iter([RpcError(4001, "It has expired.", {"code": "expired_token"}), {"items": [], "next_cursor": None}])
    signing.daemon.methods["keys.list"] = lambda _: next(answers)
    assert herod("key", "list").code == 0
    assert signing.daemon.asked[-1].authorization == "Bearer eyJ.access.2"
    signing.daemon.methods["keys.list"] = RpcError(4001, "Never.", {"code": "bad_token"})
    count = len(signing.daemon.asked)
    assert herod("key", "list").code == 4
    assert len(signing.daemon.asked) == count + 4


def test_a_session_that_has_ended(signing: SignInDaemon, signed_in: Save, herod: Typed, kept: Path) -> None:
    """A refused refresh says to sign in again, once: what was saved is removed, and the uid counts again."""
    signed_in(expires_at=1)
    signing.good.clear()
    ended = herod("key", "list")
    assert ended.code == 4
    assert ended.err == (
        f"herod: Your sign-in at {signing.daemon.url} has ended.\n  hint: sign in again: `herod login`\n"
    )
    assert not kept.exists()
    assert herod("key", "list").code == 0
    assert signing.daemon.asked[-1].authorization == "Peer"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (json_reply({"error": "temporarily_unavailable", "error_description": "Read-only."}, 503), 1),
        (json_reply({"error": "invalid_client", "error_description": "Unknown client_id."}, 401), 4),
        (json_reply({"access_token": "x"}), 3),
    ],
)
def test_other_refusals_keep_it(
    answer: Any, code: int, signing: SignInDaemon, signed_in: Save, herod: Typed, kept: Path
) -> None:
    """What says nothing about the session itself leaves it as it was."""
    signed_in(expires_at=1)
    signing.daemon.answers["POST", "/token"] = lambda _: answer
    ended = herod("key", "list")
    assert ended.code == code
    assert _session(kept)["refresh_token"] == "herod_r_1"


def test_another_daemon_at_the_same_address(signing: SignInDaemon, signed_in: Save, herod: Typed, kept: Path) -> None:
    """A refresh token is not sent to a daemon that says that it is another one."""
    signed_in(expires_at=1, issuer="http://localhost:9999")
    ended = herod("key", "list")
    assert ended.code == 4
    assert "http://localhost:9999" in ended.err
    assert ISSUER in ended.err
    assert [asked.path for asked in signing.daemon.asked] == ["/.well-known/oauth-authorization-server"]
    assert kept.exists()


def test_another_address(signing: SignInDaemon, signed_in: Save, herod: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session is presented and renewed at its own address alone."""
    signed_in(expires_at=1)
    with fake_daemon() as other:
        other.methods["keys.list"] = {"items": [], "next_cursor": None}
        assert herod("key", "list", "--url", other.url).code == 0
        assert [asked.authorization for asked in other.asked] == [None]
    assert signing.daemon.asked == []


def test_parallel_commands_renew_it_once(signing: SignInDaemon, signed_in: Save, kept: Path, machine: Path) -> None:
    """Of commands that run at once, one refreshes, and the others find what it got."""
    signed_in(expires_at=1)
    real = signing.token
    env = {"HOME": str(machine), "XDG_CONFIG_HOME": str(machine / "config"), "HEROD_URL": signing.daemon.url}

    def slowly(asked: Any) -> Any:
        time.sleep(0.3)
        return real(asked)

    signing.daemon.answers["POST", "/token"] = slowly
    ended: list[int] = []
    threads = [
        threading.Thread(target=lambda: ended.append(command("key", "list", env=env).returncode)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ended == [0] * 4
    assert [asked.path for asked in signing.daemon.asked].count("/token") == 1
    assert _session(kept)["refresh_token"] == "herod_r_2"


def test_a_lock_that_is_never_released(
    signing: SignInDaemon, signed_in: Save, herod: Typed, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait for another command is bounded, and says what to do."""
    signed_in(expires_at=1)
    monkeypatch.setattr("herod_cli.sign_in.saved_sign_ins.LOCK_SECONDS", 0)
    with changing(kept):
        ended = herod("key", "list")
    assert ended.code == 1
    assert "Another herod command" in ended.err
    assert signing.daemon.asked == []


@pytest.mark.parametrize("kind", ["read-only", "full"])
def test_no_room_for_the_new_token(
    kind: str, signing: SignInDaemon, signed_in: Save, herod: Typed, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the new tokens could not be saved, the refresh token is not used up."""
    signed_in(expires_at=1)
    error = OSError(30, "Read-only file system") if kind == "read-only" else OSError(28, "No space left on device")
    name = "open_folder" if kind == "read-only" else "write_all"

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(f"herod_cli.shared.replaced_file.{name}", fail)
    ended = herod("key", "list")
    assert ended.code == 1
    assert error.strerror in ended.err
    assert signing.daemon.asked == []
    assert sorted(path.name for path in kept.parent.iterdir()) == ["credentials.json"]


def test_a_disk_that_fails_after_the_renewal(
    signing: SignInDaemon, signed_in: Save, herod: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If saving fails although there was room, this command still runs, with a warning."""
    signed_in(expires_at=1)

    def fail(*_: object) -> None:
        raise FailureError("The disk is on fire.")

    monkeypatch.setattr("herod_cli.shared.replaced_file.Replacement.write", fail)
    ended = herod("key", "list")
    assert ended.code == 0
    assert "sign in again soon: The disk is on fire." in ended.err


def test_a_password_beside_a_session(signing: SignInDaemon, signed_in: Save, herod: Typed, kept: Path) -> None:
    """The same person's password gives a token that counts while it lives; after that, the session counts again."""
    signed_in()
    assert herod(*LOGIN, stdin=b"correct horse battery\n").code == 0
    herod("key", "list")
    assert signing.daemon.asked[-1].authorization == "Bearer aaa.bbb.ccc"
    saved = SavedSignIns(kept)
    later = saved.current(signing.daemon.url, time.time() + 3600)
    assert later is not None
    assert later.refresh_token == "herod_r_1"
    assert signing.revoked == []


def test_another_persons_password_ends_it(signing: SignInDaemon, signed_in: Save, herod: Typed, kept: Path) -> None:
    """Whoever signs in is meant from then on: another person's session ends, here and at the daemon."""
    signed_in(client_id="somebody else")
    assert herod(*LOGIN, stdin=b"correct horse battery\n").code == 0
    assert signing.revoked == ["herod_r_1"]
    assert SavedSignIns(kept).lasting(signing.daemon.url) is None


def test_logout(signing: SignInDaemon, signed_in: Save, herod: Typed, kept: Path) -> None:
    """The whole session is ended at the daemon, by the app's own id, and removed."""
    signed_in()
    assert herod("logout").code == 0
    (asked,) = signing.daemon.asked
    assert asked.form == {"client_id": "herod-cli", "token": "herod_r_1", "token_type_hint": "refresh_token"}
    assert asked.authorization is None
    assert not kept.exists()


def test_logout_without_the_daemon(signed_in: Save, herod: Typed, kept: Path, machine: Path) -> None:
    """If the daemon is away, the session is removed here, and how to end it there is said."""
    signed_in()
    (machine / "run" / "herod" / "herod.sock").unlink()
    ended = herod("logout", "--url", f"unix:{machine}/run/herod/herod.sock")
    assert ended.code == 0
    assert "the daemon did not end the sign-in of Ada" in ended.err
    assert "herod app disconnect herod-cli" in ended.err
    assert not kept.exists()


def test_logout_where_nothing_can_be_removed(
    signing: SignInDaemon, signed_in: Save, herod: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a read-only disk the session is ended at the daemon all the same."""
    signed_in()

    def fail(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("herod_cli.shared.replaced_file.open_folder", fail)
    ended = herod("logout")
    assert ended.code == 1
    assert "Read-only file system" in ended.err
    assert signing.revoked == ["herod_r_1"]


def test_who_is_signed_in(signing: SignInDaemon, signed_in: Save, herod: Typed) -> None:
    """`whoami` and `status` say who is signed in, how and until when."""
    signed_in()
    for name in ("whoami", "status"):
        shown = " ".join(herod(name).out.split())
        assert "signed_in as Ada, in a browser on 2027-01-15T08:00:00Z, until 2030-03-17T17:46:40Z" in shown
        assert json.loads(herod(name, "--output", "json").out)["sign_in"] == {
            "name": "Ada",
            "method": "browser",
            "signed_in_at": "2027-01-15T08:00:00Z",
            "expires_at": "2030-03-17T17:46:40Z",
            "renews": True,
        }


def test_status_of_an_ended_session(signing: SignInDaemon, signed_in: Save, herod: Typed) -> None:
    """`status` shows the daemon's state although the sign-in has ended, and says that it has."""
    signed_in(expires_at=1)
    signing.good.clear()
    ended = herod("status")
    assert ended.code == 0
    assert "has ended" in ended.err
    assert "ok" in ended.out


def test_two_sign_ins_at_once(kept: Path) -> None:
    """Sign-ins at several daemons that are saved at once are all kept."""
    found = SignIn(access_token="x", refresh_token="r", issuer=ISSUER)

    def save(number: int) -> None:
        with changing(kept) as saved:
            saved.keep(f"unix:/{number}", found)

    threads = [threading.Thread(target=save, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert SavedSignIns(kept).addresses == [f"unix:/{number}" for number in range(8)]


def test_no_token_in_what_is_printed() -> None:
    """A sign-in's representation has no token."""
    assert "secret" not in repr(SignIn(access_token="secret", refresh_token="secret", name="Ada"))
