"""Every command has help within 80 columns and examples that work."""

import pathlib
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import click
import pytest

from herod_cli.click_base_classes import HerodCommand, HerodGroup
from herod_cli.invocation_context import Invocation
from herod_cli.main import PLACES
from herod_cli.main import herod as root

Path = tuple[str, ...]


def _walk(command: click.Command, path: Path) -> Iterator[tuple[Path, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        ctx = click.Context(command, info_name=path[-1])
        for name in command.list_commands(ctx):
            found = command.get_command(ctx, name)
            assert found is not None
            yield from _walk(found, (*path, name))


TREE = dict(_walk(root, ("herod",)))
EXAMPLES = [
    example
    for command in TREE.values()
    if isinstance(command, HerodCommand | HerodGroup)
    for example in command.examples
]

WANTED = {
    "serve": (),
    "status": (),
    "doctor": (),
    "login": (),
    "logout": (),
    "whoami": (),
    "user": [
        "add",
        "list",
        "show",
        "scope",
        "edit",
        "passwd",
        "rotate-secret",
        "sign-out",
        "factors",
        "reset-factors",
        "enable",
        "disable",
        "delete",
    ],
    "key": ["create", "list", "show", "verify", "rotate", "disable", "enable", "edit", "delete"],
    "token": ["issue", "validate", "inspect", "revoke"],
    "app": [
        "add",
        "list",
        "show",
        "edit",
        "rotate-secret",
        "disable",
        "enable",
        "delete",
        "connected",
        "disconnect",
    ],
    "approval": ["list"],
    "attention": (),
    "peer": ["allow", "list", "remove"],
    "resource": ["claim", "list", "get", "check", "update", "release"],
    "audit": ["list", "verify"],
    "legacy": ["status", "promote"],
    "explain": (),
    "backup": (),
    "restore": (),
    "export": (),
    "import": (),
    "secret": ["generate", "rotate", "rotate-signing"],
    "ui": (),
    "smoke": (),
    "completion": (),
}


def test_messages_and_pages_name_commands_that_exist() -> None:
    """Commands named in messages and pages exist."""
    harness = pathlib.Path(__file__).parents[2]
    pages = [*harness.glob("*.md"), *harness.glob("docs/**/*.md")]
    sources = [*harness.glob("herod/**/*.py"), *harness.glob("cli/**/*.py")]
    named = {
        (page.name, *words.split())
        for page in (*pages, *sources)
        for words in re.findall(r"`herod ([a-z][a-z-]*(?: [a-z][a-z-]*)?)", page.read_text(encoding="utf-8"))
    }
    assert len(named) > 30
    groups = {path[1] for path in TREE if len(path) == 3}
    wrong = {
        (page, first, *rest)
        for page, first, *rest in named
        if ("herod", first, *(rest if first in groups else ())) not in TREE
    }
    assert not wrong


def test_the_commands_there_are() -> None:
    """The command tree is exactly the specified one."""
    wanted: set[Path] = {("herod",)} | {("herod", name) for name in WANTED}
    wanted |= {("herod", name, below) for name, names in WANTED.items() for below in names}
    assert set(TREE) == wanted


@pytest.mark.parametrize("path", TREE, ids=" ".join)
def test_every_command_has_help_and_an_example(path: Path, herod: Callable[..., Any]) -> None:
    """`--help` describes the command in 80 columns, with an example of it."""
    ended = herod(*path[1:], "--help")
    assert ended.code == 0
    assert ended.err == ""
    command = TREE[path]
    assert command.help
    assert "Examples:" in ended.out
    assert " ".join(path) in ended.out.split("Examples:")[1]
    assert all(len(line) <= 80 for line in ended.out.splitlines())
    assert "--help" in ended.out


def test_first_lines_are_those_of_the_commands() -> None:
    """The short help in the root command equals that of the command itself, which is not imported for it."""
    for name, (_, line) in PLACES.items():
        help_text = TREE["herod", name].help
        assert help_text is not None
        assert help_text.splitlines()[0] == line


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_parse(example: str) -> None:
    """Every example is a valid command line."""
    for part in example.split("|"):
        line = part.split(" > ")[0].split(" < ")[0]
        if "$(" in line:
            line = line[line.index("$(") + 2 : line.rindex(")")]
        words = shlex.split(line, comments=True)
        while "=" in words[0]:
            del words[0]
        assert words[0] == "herod"
        _parse(words[1:])


def _parse(words: list[str]) -> None:
    command: click.Command = root
    ctx = command.make_context("herod", words, obj=Invocation())
    while isinstance(command, click.Group):
        _, arguments, _ = command.make_parser(ctx).parse_args(list(words))
        name, found, words = command.resolve_command(ctx, arguments)
        assert found is not None
        command = found
        ctx = command.make_context(name, list(words), parent=ctx)


def test_every_command_is_documented() -> None:
    """docs/cli.md contains every command."""
    text = (pathlib.Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    for path, command in TREE.items():
        if not isinstance(command, click.Group):
            assert f"`{' '.join(path)}" in text


def test_help_starts_quickly() -> None:
    """`herod --help` imports neither the daemon, nor the client, nor JSON, nor crypto."""
    code = (
        "import sys\n"
        "from herod_cli.main import main\n"
        "main(['--help'])\n"
        "heavy = {'msgspec', 'trio', 'cryptography', 'http.client', 'ssl', 'herod.app'}\n"
        "heavy |= {'herod_client.client'}\n"
        "sys.exit(repr(sorted(heavy & set(sys.modules))) if heavy & set(sys.modules) else 0)\n"
    )
    ended = _python(code, {})
    assert ended.returncode == 0, ended.stderr


def test_status_does_not_import_the_daemon() -> None:
    """`herod status` imports the client, but not the daemon and its crypto."""
    code = (
        "import sys\n"
        "from herod_cli.main import main\n"
        "code = main(['status', '--url', 'unix:/nonexistent/herod.sock'])\n"
        "heavy = {'trio', 'cryptography', 'apsw', 'quart', 'herod.app', 'herod.settings'}\n"
        "sys.exit(repr(sorted(heavy & set(sys.modules))) if heavy & set(sys.modules) else code)\n"
    )
    ended = _python(code, {})
    assert ended.returncode == 3, ended.stderr


def _python(code: str, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    environ = {"PYTHONPATH": ":".join(path for path in sys.path if path), "HOME": "/nonexistent", **environ}
    return subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str, herod: Callable[..., Any]) -> None:
    """Each shell gets its completion script, with instructions where to put it."""
    ended = herod("completion", shell)
    assert ended.code == 0
    assert "_HEROD_COMPLETE" in ended.out
    assert ended.out.splitlines()[-1].startswith(f"# Install: herod completion {shell} > ")


def test_completion_completes() -> None:
    """Completion offers commands and options."""
    code = "import sys; from herod_cli.main import main; sys.exit(main())"
    wanted = {("herod us", "1"): "user", ("herod user --out", "2"): "--output", ("herod key cr", "2"): "create"}
    for (words, number), completed in wanted.items():
        ended = _python(code, {"_HEROD_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": number})
        assert ended.stdout == f"plain,{completed}\n"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("usr",), "Did you mean"),
        (("user", "lst"), "Did you mean"),
        (("user", "list", "--outptu", "json"), "--outptu"),
        (("user", "show"), "Missing argument"),
        (("status", "--timeout", "0"), "--timeout"),
        (("status", "--timeout", "nan"), "--timeout"),
        (("status", "--timeout", "soon"), "soon"),
        (("status", "--output", "yaml"), "yaml"),
        (("completion", "tcsh"), "tcsh"),
        (("serve", "--port", "70000"), "70000"),
    ],
)
def test_usage_errors(args: tuple[str, ...], message: str, herod: Callable[..., Any]) -> None:
    """A usage error is one line, a hint, and exit code 2."""
    ended = herod(*args)
    assert (ended.code, ended.out) == (2, "")
    lines = ended.err.splitlines()
    assert lines[0].startswith("herod: ")
    assert message in lines[0]
    assert lines[1].startswith("  hint: see `herod")
    assert len(lines) == 2


def test_no_command_shows_the_help(herod: Callable[..., Any]) -> None:
    """`herod` without a command shows the help."""
    ended = herod()
    assert ended.code == 2
    assert "Commands:" in ended.err


def test_version(herod: Callable[..., Any]) -> None:
    """`--version` prints the version."""
    ended = herod("--version")
    assert ended.code == 0
    assert ended.out.startswith("herod ")
