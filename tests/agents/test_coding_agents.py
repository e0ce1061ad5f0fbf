"""Claude Code and Codex, unmodified, in a home of their own and without an account: from `mcp add` to the tools."""

from pathlib import Path

import pytest

from support.chromium import Person
from support.consent import allow
from support.mcp_packages import running_program
from support.real_daemon import Daemon

pytestmark = pytest.mark.check

PACKAGES = Path(__file__).parent / "npm/node_modules"


def program(pattern: str) -> Path:
    """The one program of a package."""
    (found,) = PACKAGES.glob(pattern)
    return found


def test_claude_code(daemon: Daemon, ada: Person, tmp_path: Path) -> None:
    """Claude Code adds herod by its address, signs in by a browser, and is connected."""
    claude = program("@anthropic-ai/claude-code-linux-*/claude")
    add = ("mcp", "add", "--transport", "http", "herod", f"http://localhost:{daemon.port}/mcp")
    with running_program(tmp_path, claude, *add) as adding:
        adding.ends()
    with running_program(tmp_path, claude, "mcp", "login", "herod", on_terminal=True) as signing_in:
        said = allow(ada, signing_in.authorize_url(f"http://localhost:{daemon.port}"))
        signing_in.says("Authenticated with")
    assert "Claude Code" in said
    with running_program(tmp_path, claude, "mcp", "list") as listing:
        assert "Connected" in listing.ends()


def test_codex(daemon: Daemon, ada: Person, tmp_path: Path) -> None:
    """Codex adds herod by its address, signs in by a browser, and knows that it is signed in."""
    codex = program("@openai/codex-linux-*/vendor/*/**/codex")
    url = f"http://localhost:{daemon.port}"
    with running_program(tmp_path, codex, "mcp", "add", "herod", "--url", f"{url}/mcp") as adding:
        allow(ada, adding.authorize_url(url))
        adding.ends()
    with running_program(tmp_path, codex, "mcp", "list") as listing:
        assert "OAuth" in listing.ends()
