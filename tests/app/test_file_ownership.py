"""Which users control where a path leads, what root refuses because of them, and which user it becomes."""

import os
import pwd
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from herod.file_ownership import acting_as_owner, require_own_path, starting_uid, trace_path
from herod_client.core.errors import RuntimeFailure

OWNER = 4321
OTHER = 4322

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="root alone can give folders to others, and become them")


@pytest.fixture
def base() -> Iterator[Path]:
    """A folder that every user can enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="herod-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name).resolve()


def folder(path: Path, uid: int = 0, mode: int = 0o755, gid: int | None = None) -> Path:
    """A folder of the given user."""
    path.mkdir(exist_ok=True)
    path.chmod(mode)
    os.chown(path, uid, uid if gid is None else gid)
    return path


def refusal(path: Path, *, may_share: bool = False) -> str:
    """Root's one-line refusal of a path."""
    with pytest.raises(RuntimeFailure) as caught:
        require_own_path(path, "the store", may_share=may_share)
    assert str(caught.value).startswith(f"the store {path} ")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("links", "path", "target"),
    [
        ({}, "a/b/f", "a/b/f"),
        ({}, "a/../a/f", "a/f"),
        ({}, "a/b/..", "a"),
        ({}, "missing/../f", "missing/../f"),
        ({}, "missing/b/f", "missing/b/f"),
        ({"l": "a/b"}, "l/f", "a/b/f"),
        ({"l": "a/b"}, "l/../f", "a/f"),
        ({"a/f": "b/f", "a/b/f": "../../g"}, "a/f", "g"),
        ({"l": "{base}/a"}, "l/b", "a/b"),
    ],
)
def test_where_a_path_leads(base: Path, links: dict[str, str], path: str, target: str) -> None:
    """A path resolves as in the kernel; missing parts stay as written."""
    (base / "a" / "b").mkdir(parents=True)
    for name, aim in links.items():
        (base / name).symlink_to(aim.format(base=base))
    assert trace_path(base / path).target == base / target
    if "missing" not in path:
        assert trace_path(base / path).target == (base / path).resolve()


def test_circle_of_links(base: Path) -> None:
    """A cycle of links is refused with its path."""
    (base / "a").symlink_to("b")
    (base / "b").symlink_to("a")
    with pytest.raises(RuntimeFailure, match=f"{base}/a has a loop of symbolic links: remove the link {base}/"):
        trace_path(base / "a")


@needs_root
def test_own_paths(base: Path) -> None:
    """Folders and links of root are followed, also through a folder such as /tmp."""
    sticky = folder(base / "sticky", mode=0o1777)
    own = folder(sticky / "own", mode=0o770)
    (base / "link").symlink_to(own)
    assert require_own_path(base / "link" / "f", "the store").target == own / "f"
    assert require_own_path(sticky / "new" / "f", "the store").target == sticky / "new" / "f"


@needs_root
def test_folders_and_links_of_others(base: Path) -> None:
    """One folder or link of another user on the path is refused, with that user."""
    theirs = folder(base / "theirs", OWNER)
    folder(theirs / "own")
    (theirs / "link").symlink_to(folder(base / "own"))
    (base / "their-link").symlink_to(base / "own")
    os.chown(base / "their-link", OWNER, OWNER, follow_symlinks=False)
    for path in ("theirs/f", "theirs/own/f", "theirs/link/f", "theirs/new/f"):
        assert f"{theirs}, which belongs to uid {OWNER}" in refusal(base / path)
    assert f"{base}/their-link, which belongs to uid {OWNER}" in refusal(base / "their-link" / "f", may_share=True)
    assert f"{theirs}, which belongs to uid {OWNER}" in refusal(base / "theirs" / ".." / "own" / "f")


@needs_root
def test_folders_that_others_write(base: Path) -> None:
    """A user who can create links in a folder of root's, or rename entries, also controls where a path leads."""
    for name, mode in (("all", 0o777), ("group", 0o775)):
        folder(folder(base / name, mode=mode, gid=OWNER) / "own")
        letter = name[0].replace("a", "o")
        for path in ("f", "own/f"):
            assert f"chmod {letter}-w {base}/{name}" in refusal(base / name / path)
    assert "every user can create files and links" in refusal(base / "all" / "f", may_share=True)
    assert f"group {OWNER} can create files and links" in refusal(base / "group" / "own" / "f", may_share=True)
    require_own_path(base / "group" / "f", "the socket", may_share=True)
    folder(base / "sticky", mode=0o1777)
    assert f"chmod o-w {base}/sticky" in refusal(base / "sticky" / "f")
    require_own_path(base / "sticky" / "f", "the socket", may_share=True)
    require_own_path(folder(base / "roots", mode=0o775) / "f", "the store")


@needs_root
def test_access_lists(base: Path) -> None:
    """A user with write access by an ACL is refused like others; the group bits are then the ACL's mask."""
    path = folder(base / "listed", mode=0o775)
    entries = ((0x01, 7, 0), (0x02, 7, OWNER), (0x04, 5, 0), (0x10, 7, 0), (0x20, 5, 0))  # acl(5), acl_user and others
    packed = [struct.pack("<HHI", tag, bits, id_ or 0xFFFFFFFF) for tag, bits, id_ in entries]
    try:
        os.setxattr(path, "system.posix_acl_access", struct.pack("<I", 2) + b"".join(packed))
    except OSError:
        pytest.skip("this file system knows no access lists")
    assert f"chmod g-w {path}" in refusal(path / "f")


@needs_root
def test_other_users_are_let_through(base: Path) -> None:
    """For non-root users nothing is refused, because the kernel enforces their permissions."""
    path = folder(base / "theirs", OWNER, mode=0o777)
    os.seteuid(OTHER)
    try:
        assert require_own_path(path / "f", "the store").target == path / "f"
        with acting_as_owner(path / "f", "the store"):
            assert os.geteuid() == OTHER
    finally:
        os.seteuid(0)


def ids() -> tuple[object, ...]:
    """The ids of this process."""
    return os.getresuid(), os.getresgid(), sorted(os.getgroups())


@needs_root
@pytest.mark.parametrize("path", ["home/f", "home/state/f", "home/new/state/f", "link/f"])
def test_root_becomes_the_owner(base: Path, path: str) -> None:
    """Root creates files as that user, without access to root's files or groups, and switches back."""
    home = folder(base / "home", OWNER)
    folder(home / "state", OWNER, mode=0o700)
    (base / "link").symlink_to(home)
    roots = base / "roots"
    roots.touch(0o600)
    before = ids()
    with pytest.raises(KeyError), acting_as_owner(base / path, "the store"):  # noqa: PT012 - an error inside the block
        assert ids() == ((OWNER, OWNER, 0), (OWNER, OWNER, 0), [OWNER])
        assert starting_uid() == 0
        (home / "made").touch()
        for touch in (roots.read_bytes, lambda: roots.chmod(0o644), (base / "new").touch):
            with pytest.raises(PermissionError):
                touch()
        raise KeyError
    assert ids() == before
    assert ((home / "made").stat().st_uid, (home / "made").stat().st_gid) == (OWNER, OWNER)


@needs_root
def test_groups(base: Path) -> None:
    """A known user gets its own groups, and an unknown one never root's."""
    user = pwd.getpwnam("daemon")
    with acting_as_owner(folder(base / "known", user.pw_uid, gid=OTHER) / "f", "the store"):
        assert ids()[1:] == ((user.pw_gid, user.pw_gid, 0), sorted(os.getgrouplist("daemon", user.pw_gid)))
    with acting_as_owner(folder(base / "unknown", OWNER, gid=0) / "f", "the store"):
        assert ids()[1:] == ((65534, 65534, 0), [65534])


@needs_root
def test_root_stays_root(base: Path) -> None:
    """In root's own folders nothing changes."""
    before = ids()
    with acting_as_owner(base / "f", "the store"):
        assert ids() == before


@needs_root
def test_whose_it_is_cannot_be_said(base: Path) -> None:
    """Folders of two users, and a world-writable one, are refused with what to do."""
    folder(folder(base / "one", OWNER) / "two", OTHER)
    with pytest.raises(RuntimeFailure) as caught, acting_as_owner(base / "one" / "two" / "f", "the store"):
        pass
    assert f"uid {OWNER} ({base}/one) and uid {OTHER} ({base}/one/two)" in str(caught.value)
    folder(base / "one", OWNER, mode=0o777)
    with pytest.raises(RuntimeFailure, match=f"chmod o-w {base}/one"), acting_as_owner(base / "one" / "f", "the store"):
        pass


@needs_root
@pytest.mark.parametrize("call", ["setgroups", "setresgid", "setresuid"])
def test_root_that_may_not(base: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """A root without the capability, as in a container, reports that, and stays itself."""
    path, before = folder(base / "theirs", OWNER) / "f", ids()
    real = getattr(os, call)

    def refuse(*given: object) -> None:
        if given not in before:  # setting one's own ids is always permitted
            raise PermissionError(1, "Operation not permitted")
        real(*given)

    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(RuntimeFailure, match=f"may not become uid {OWNER}"), acting_as_owner(path, "the store"):
        pass
    monkeypatch.undo()
    assert ids() == before
