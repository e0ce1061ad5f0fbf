"""Which module opens, creates, changes or removes files, and that docs/security/files.md describes each.

A new call of this kind is a new way in for whoever owns the folder: use `path_walk.py`, `input_files.py`,
`private_files.py` or `own_files.py`, or describe here and there how the path is kept from leading elsewhere.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "security" / "files.md"
FOLDERS: Final = {"herod": "", "herod_cli": "cli/", "herod_smoke": "smoke/", "herod_client": "clients/python/"}

OF_OS: Final = frozenset({
    "chmod", "chown", "fchmod", "fchown", "ftruncate", "lchown", "link", "makedirs", "mkdir", "mkfifo", "mknod", "open",
    "remove", "removedirs", "rename", "renames", "replace", "rmdir", "symlink", "truncate", "unlink", "utime",
})  # fmt: skip
OF_PATHS: Final = frozenset({
    "chmod", "hardlink_to", "lchmod", "mkdir", "read_bytes", "read_text", "rename", "rmdir", "symlink_to", "touch",
    "unlink", "write_bytes", "write_text",
})  # fmt: skip
MODULES: Final = frozenset({"shutil", "tempfile"})

ALLOWED: Final[dict[str, str]] = {
    "herod.path_walk": "os.open",
    "herod.private_files": "os.fchmod os.open unlink",
    "herod.audit_copies.audit_file": "os.fchmod os.ftruncate os.open",
    "herod.first_admin_code_file": "replace unlink",
    "herod.server.sockets.unix_socket": "mkdir os.fchmod os.open rename unlink",
    "herod.store.sqlite.backup_snapshot": "os.open",
    "herod.store.sqlite.backup_unpacking": "hardlink_to os.open replace unlink",
    "herod.store.sqlite.disk.database_files": "mkdir os.ftruncate os.open unlink",
    "herod.store.sqlite.disk.own_files": "os.fchmod os.open",
    "herod_cli.sign_in.saved_sign_ins": "os.open unlink",
    "herod_cli.shared.atomic_file": "os.unlink",
    "herod_cli.shared.replaced_file": "mkdir os.ftruncate os.rename os.unlink",
    "herod_cli.shared.secret_files": "os.link os.open os.rename os.unlink",
    "herod_cli.ui.ui": "mkdir unlink",
    "herod_smoke.files": "os.open os.rename os.unlink",
    "herod_client.credentials": "os.open",
}
"""Module → its calls, sorted."""

HARMLESS: Final[dict[str, str]] = {
    "herod.store.sqlite.disk.open_database": "read_text",  # of herod's own package
    "herod.dashboard.static_files": "read_bytes",  # likewise
    "herod_cli.doctor.port_holders": "read_text",  # of /proc
    "herod_cli.sign_in.loopback_listener": "read_text",  # likewise
    "herod_cli.shared.standard_streams": "os.open",  # /dev/null
    "herod_smoke.main": "os.open",  # likewise
    "herod_cli.shared.output": "shutil.get_terminal_size",
    "herod_cli.shared.browsers": "shutil.which",
    "herod.reload": "replace",  # of certificates in memory
    "herod_client.async_verifier": "touch",  # of a verifier's own object
}
"""Module → calls of these names that change no file that another user could have put there."""


def calls(tree: ast.AST) -> Iterator[str]:
    """Every call that opens or changes a file by its name, or by a descriptor."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from call(node)
        elif isinstance(node, ast.ImportFrom) and node.module in {"os", *MODULES}:
            names = [one.name for one in node.names]
            yield from (f"{node.module}.{name}" for name in names if node.module != "os" or name in OF_OS)


def call(node: ast.Call) -> Iterator[str]:
    """The name of a call, if it opens or changes a file."""
    match node:
        case ast.Call(func=ast.Name(id="open")):
            yield "open"
        case ast.Call(func=ast.Attribute(value=ast.Name(id="os"), attr=name)):
            yield from {f"os.{name}"} if name in OF_OS else ()
        case ast.Call(func=ast.Attribute(value=ast.Name(id=module), attr=name)) if module in MODULES:
            yield f"{module}.{name}"
        case ast.Call(func=ast.Attribute(attr=name)) if name in OF_PATHS:
            yield name
        # Not that of str, which takes two, nor the one of structs.
        case ast.Call(func=ast.Attribute(attr="replace"), args=[_], keywords=[]):
            yield "replace"
        case ast.Call(func=ast.Attribute(attr="open"), args=[ast.Constant(value=str())] | []):
            yield "open"
        case _:
            pass


def found() -> dict[str, set[str]]:
    """Module → its calls."""
    modules: dict[str, set[str]] = {}
    for package, folder in FOLDERS.items():
        for file in sorted((ROOT / folder / package).rglob("*.py")):
            if made := set(calls(ast.parse(file.read_text()))):
                modules[".".join(file.relative_to(ROOT / folder).with_suffix("").parts)] = made
    return modules


def test_no_other_calls() -> None:
    """Files are opened and changed in the modules named here, by the calls named here, and nowhere else."""
    expected = {
        module: {*ALLOWED.get(module, "").split(), *HARMLESS.get(module, "").split()}
        for module in {**ALLOWED, **HARMLESS}
    }
    assert found() == expected


def test_page() -> None:
    """The page names each of these modules' files, and no file of code that does not exist."""
    text = PAGE.read_text()
    files = {f"{FOLDERS[module.split('.')[0]]}{module.replace('.', '/')}.py" for module in ALLOWED}
    assert sorted(file for file in files if f"`{file}`" not in text) == []
    named = re.findall(r"`((?:herod|cli|smoke|clients|tools|tests|systemd)/[^`*]+)`", text)
    assert [file for file in named if not (ROOT / file).is_file()] == []


def test_what_counts() -> None:
    """The search finds the usual ways to open and change files."""
    code = (
        "open('f'); os.chmod('f', 1); p.open('rb'); p.write_text(''); p.replace(q); shutil.copy(p, q)\n"
        "from os import replace\ns.replace('a', 'b'); keyring.open(sealed); structs.replace(a, b=1)"
    )
    assert sorted(calls(ast.parse(code))) == [
        "open", "open", "os.chmod", "os.replace", "replace", "shutil.copy", "write_text",
    ]  # fmt: skip
