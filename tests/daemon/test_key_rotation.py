"""Rotating a key in use: with an overlap no client is refused; without one the old secret is refused at once.

A daemon that is killed during rotations comes back with exactly what it acknowledged.
"""

import http.client
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Condition, Thread
from typing import Final

import pytest

from support.open_connections import PATIENCE, USES, Admin, Line, whoami
from support.real_daemon import Daemon, running
from support.soak_rounds import chance as new_chance
from support.soak_rounds import count, seed

OVERLAP: Final = 5
ROTATIONS: Final = 8
LATER: Final = 12  # uses of the old secret by a client that could have the new one
KILLS: Final = max(2, count("KILL_ROUNDS") // 25)


@dataclass(frozen=True)
class Use:
    """One use of a key: when it began and ended, which secret, and whether it was accepted."""

    began: float
    ended: float
    key: str
    is_good: bool


@dataclass
class Client:
    """Uses a key continuously, and switches to a new secret a few uses after it is told."""

    line: Line
    use: Callable[[Line, str], bool]
    key: str
    told: str = ""
    uses: list[Use] = field(default_factory=list)
    error: Exception | None = None

    def run(self, is_over: Callable[[], bool], changed: Condition) -> None:
        """Run until stopped."""
        late = 0
        try:
            while not is_over():
                began = time.monotonic()
                is_good = self.use(self.line, self.key)
                used = Use(began, time.monotonic(), self.key, is_good)
                with changed:
                    self.uses.append(used)
                    late = late + 1 if self.told != self.key else 0
                    if late > LATER:
                        self.key, late = self.told, 0
                    changed.notify_all()
        except Exception as error:  # noqa: BLE001 - the test's own thread raises it again
            with changed:
                self.error = error
                changed.notify_all()
        finally:
            self.line.close()


@dataclass
class Crowd:
    """Clients that all use one key."""

    clients: list[Client]
    changed: Condition

    def tell(self, key: str) -> None:
        """Give all clients the new secret."""
        with self.changed:
            for client in self.clients:
                client.told = key

    def wait(self, is_reached: Callable[[Client], bool]) -> None:
        """Wait until the condition holds for each client."""
        with self.changed:
            assert self.changed.wait_for(
                lambda: any(one.error for one in self.clients) or all(map(is_reached, self.clients)), PATIENCE
            )
        for client in self.clients:
            if client.error is not None:
                raise client.error

    @property
    def uses(self) -> list[Use]:
        """All uses of all clients."""
        with self.changed:
            return [use for client in self.clients for use in client.uses]


@contextmanager
def crowd(daemon: Daemon, key: str) -> Iterator[Crowd]:
    """Two clients for each way to use a key: over TCP and over the Unix socket."""
    clients = [Client(Line(daemon, is_tcp=is_tcp), use, key, told=key) for use in USES for is_tcp in (False, True)]
    over: list[bool] = []
    changed = Condition()
    threads = [Thread(target=client.run, args=(lambda: bool(over), changed)) for client in clients]
    for thread in threads:
        thread.start()
    try:
        yield Crowd(clients, changed)
    finally:
        over.append(True)
        for thread in threads:
            thread.join(PATIENCE)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon for the tests that leave it running."""
    with running(tmp_path_factory.mktemp("rotation")) as started:
        yield started


@pytest.fixture
def admin(daemon: Daemon) -> Iterator[Admin]:
    """The local admin of that daemon."""
    made = Admin(daemon)
    yield made
    made.close()


def test_a_client_that_switches_in_time_is_never_refused(
    daemon: Daemon, admin: Admin, say: Callable[[str], None]
) -> None:
    """Over many rotations with an overlap no use is refused, with the old secret or the new one."""
    made = admin.call("keys.create", name="switching", kind="service", scope="read")
    keys = [made["key"]]
    with crowd(daemon, keys[0]) as clients:
        clients.wait(lambda one: len(one.uses) > LATER)
        for _ in range(ROTATIONS):
            keys.append(admin.call("keys.rotate", id=made["id"], overlap=OVERLAP)["key"])
            clients.tell(keys[-1])
            clients.wait(lambda one: one.uses[-1].key == keys[-1])
    uses = clients.uses
    assert {use.key for use in uses} == set(keys)
    assert [use for use in uses if not use.is_good] == []
    say(f"{len(uses)} uses through {ROTATIONS} rotations with overlap={OVERLAP}, 0 refused")


def test_without_an_overlap_the_next_use_is_refused(daemon: Daemon, admin: Admin, say: Callable[[str], None]) -> None:
    """Every use after the answer to a rotation is refused on each connection, and the new secret works."""
    made = admin.call("keys.create", name="cut off", kind="service", scope="read")
    with crowd(daemon, made["key"]) as clients:
        clients.wait(lambda one: len(one.uses) > LATER)
        before = time.monotonic()
        new = admin.call("keys.rotate", id=made["id"])["key"]
        after = time.monotonic()
        clients.wait(lambda one: sum(use.began > after for use in one.uses) > LATER)
        clients.tell(new)
        clients.wait(lambda one: one.uses[-1].key == new)
    old = [use for use in clients.uses if use.key == made["key"]]
    assert all(use.is_good for use in old if use.ended < before)
    late = [use for use in old if use.began > after]
    assert len(late) > LATER * len(clients.clients)
    assert [use for use in late if use.is_good] == []
    assert all(use.is_good for use in clients.uses if use.key == new)
    for client in clients.clients:  # once refused, always refused
        verdicts = [use.is_good for use in client.uses if use.key == made["key"]]
        assert verdicts == sorted(verdicts, reverse=True)
    say(f"{len(late)} uses after a rotation without an overlap, all refused")


@pytest.mark.parametrize("is_tcp", [False, True], ids=["unix", "tcp"])
@pytest.mark.parametrize("use", USES)
def test_open_connections_are_no_excuse(
    daemon: Daemon, admin: Admin, use: Callable[[Line, str], bool], is_tcp: bool
) -> None:
    """A connection that was just accepted is refused with the old secret and accepted with the new one."""
    made = admin.call("keys.create", name=f"{use.__name__} {is_tcp}", kind="service", scope="read")
    line = Line(daemon, is_tcp=is_tcp)
    with_overlap = without = ""
    try:
        assert use(line, made["key"])
        connection = line.sock
        with_overlap = admin.call("keys.rotate", id=made["id"], overlap=OVERLAP)["key"]
        assert use(line, made["key"])
        without = admin.call("keys.rotate", id=made["id"])["key"]
        assert [use(line, key) for key in (made["key"], with_overlap, without)] == [False, False, True]
        assert line.sock is connection
    finally:
        line.close()


class Rotator(Thread):
    """Rotates a key until the daemon is gone, and records the acknowledged secrets."""

    def __init__(self, daemon: Daemon, key_id: str, key: str, overlaps: Iterator[int]) -> None:
        super().__init__()
        self._admin = Admin(daemon)
        self._id = key_id
        self._overlaps = overlaps
        self.acknowledged = [(key, 0)]  # each secret, and the overlap of the one before it
        self.attempted = 0  # the overlap of the last attempt
        self.changed = Condition()

    def run(self) -> None:
        """Run until the daemon no longer answers."""
        with suppress(OSError, http.client.HTTPException, ValueError):
            while True:
                self.attempted = next(self._overlaps)
                key = self._admin.call("keys.rotate", id=self._id, overlap=self.attempted)["key"]
                with self.changed:
                    self.acknowledged.append((key, self.attempted))
                    self.changed.notify_all()
        self._admin.close()

    def wait(self, most: int) -> None:
        """Wait until more than so many are acknowledged."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.acknowledged) > most, PATIENCE)


def test_killed_amid_rotations(tmp_path: Path, say: Callable[[str], None]) -> None:
    """After each kill -9 the newest acknowledged secret works, the one before within its overlap, and no other.

    One more rotation may have been written without being acknowledged; the audit log shows it, and then it applies.
    """
    chance = new_chance("rotation")
    key_id, written = "", 0
    rotator: Rotator | None = None
    for number in range(KILLS + 1):
        with running(tmp_path) as daemon:
            admin, line = Admin(daemon), Line(daemon, is_tcp=True)
            if rotator is None:
                made = admin.call("keys.create", name="rotated", kind="service", scope="read")
                key_id, newest = made["id"], made["key"]
            else:
                acknowledged = written + len(rotator.acknowledged) - 1
                written = rotations(admin, key_id)
                assert written - acknowledged in {0, 1}
                check(line, rotator, is_ahead=written > acknowledged, name=f"round {number} of seed {seed()}")
                assert admin.call("audit.verify")["valid"] is True
                newest = admin.call("keys.rotate", id=key_id)["key"]
                written += 1
            admin.close()
            line.close()
            if number == KILLS:
                break
            rotator = Rotator(daemon, key_id, newest, iter(lambda: chance.choice((0, 600)), None))
            rotator.start()
            rotator.wait(chance.randrange(2, 25))
            daemon.process.kill()
            daemon.process.wait()
            rotator.join(PATIENCE)
    say(f"{written} rotations over {KILLS} kills")


def rotations(admin: Admin, key_id: str) -> int:
    """How many rotations of the key are in the audit log."""
    number, cursor = 0, None
    while True:
        page = admin.call(
            "audit.list", operation="keys.rotate", target=key_id, limit=200, **({"cursor": cursor} if cursor else {})
        )
        number += len(page["items"])
        if (cursor := page["next_cursor"]) is None:
            return number


def check(line: Line, rotator: Rotator, *, is_ahead: bool, name: str) -> None:
    """Compare the working secrets with the acknowledged ones; `is_ahead` if one more was written."""
    (newest, overlap), *older = reversed(rotator.acknowledged)
    wanted = [not is_ahead or rotator.attempted > 0]
    wanted += [not is_ahead and overlap > 0 and not number for number in range(len(older))]
    assert [whoami(line, key) for key in (newest, *(key for key, _ in older))] == wanted, name


def test_the_command(daemon: Daemon, tmp_path: Path) -> None:
    """`herod key rotate --save` writes the new secret to a private file only, and the overlap applies."""
    files = [tmp_path / f"{number}.key" for number in range(3)]
    made = daemon.herod("key", "create", "by command", "--scope", "read", "--save", str(files[0]))
    found = re.search(r"^id +(\w{12})$", made.stdout, re.MULTILINE)
    assert found is not None, made.stderr
    ways = [("--overlap", f"{OVERLAP * 60}s"), ()]
    for more, file in zip(ways, files[1:], strict=True):
        done = daemon.herod("key", "rotate", found[1], *more, "--save", str(file))
        assert done.returncode == 0, done.stderr
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.read_text().strip() not in done.stdout + done.stderr
        verdicts = [daemon.herod("key", "verify", f"@{one}").returncode for one in files if one.exists()]
        assert verdicts == ([0, 0] if more else [1, 1, 0])
    again = daemon.herod("key", "rotate", found[1], "--save", str(files[0]))
    assert (again.returncode, "exists already" in again.stderr) == (1, True)
    assert daemon.herod("key", "verify", f"@{files[2]}").returncode == 0, "nothing was rotated"
