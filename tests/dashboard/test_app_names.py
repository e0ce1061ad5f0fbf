"""How the names of apps are shown that chose them themselves."""

import pytest

from herod.dashboard.apps.app_names import name_warnings, shown_name
from herod.identity.apps.oauth_apps import AppOrigin

NOT_HEROD = "This app is not part of herod, whatever its name says."
NOT_VERIFIED = "Herod has verified nothing about this app, whatever its name says."
LOOK_ALIKE = "The name has letters that look like others: it may imitate another name."


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Claude Code (herod)", "Claude Code (herod)"),
        ("Verified ✔ agent 🛡", "Verified agent"),
        ("<b>bold</b>", "bbold/b"),
        ("a\u202eb", "ab"),
        ("x" * 80, "x" * 63 + "…"),
        ("✔✔✔", "An app without a name"),
    ],
)
def test_what_is_shown(name: str, shown: str) -> None:
    """Letters, digits and plain punctuation, at most 64 of them."""
    assert shown_name(name) == shown


@pytest.mark.parametrize(
    ("name", "warnings"),
    [
        ("Claude Code (herod)", []),
        ("Codex", []),
        ("VS Code", []),
        ("herod", [NOT_HEROD]),
        ("(herod)", [NOT_HEROD]),
        ("Herod update (herod)", [NOT_HEROD]),
        ("h e r o d", [NOT_HEROD]),
        ("her0d helper", [NOT_HEROD]),
        ("hеrod", [NOT_HEROD, LOOK_ALIKE]),
        ("Claude Code verified", [NOT_VERIFIED]),
        ("Сlaude Code", [LOOK_ALIKE]),
        ("hérod update", [NOT_HEROD]),
        ("herød update", [NOT_HEROD]),
        ("ʜᴇʀᴏᴅ update", [NOT_HEROD, LOOK_ALIKE]),
        ("ᴠerified agent", [NOT_VERIFIED, LOOK_ALIKE]),
        ("エージェントCode", []),
        ("エージェント 5", []),
        ("Սlack", [LOOK_ALIKE]),
        ("Łódź façade Ærøskøbing İstanbul", []),
    ],
)
def test_what_is_warned_of(name: str, warnings: list[str]) -> None:
    """Herod's own name, claims to be checked, and letters that look like others; not the name of the server."""
    assert name_warnings(name, AppOrigin.DYNAMIC) == warnings
    assert name_warnings(name, AppOrigin.REGISTERED) == []
