"""Names of apps that could be taken for something else."""

import pytest

from herod.pipeline.parameters.app_names import parse_app_name
from herod_client.core.errors import InvalidRequest


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Claude Code (herod)", "Claude Code (herod)"),
        ("  Visual   Studio Code ", "Visual Studio Code"),
        ("Ａgent １", "Agent 1"),
        ("𝐂𝐨𝐝𝐞𝐱", "Codex"),
        ("Агент", "Агент"),
        ("Agent Смит", "Agent Смит"),
        ("エージェントCode", "エージェントCode"),
        ("Ingénieur", "Ingénieur"),
        ("Łódź Ærø", "Łódź Ærø"),
        ("herod-agent", "herod-agent"),
        ("MCP Inspector 2.0", "MCP Inspector 2.0"),
    ],
)
def test_names(text: str, name: str) -> None:
    """A name of any language is taken, in its normal form."""
    assert parse_app_name(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "herod", "Herod", "H E R O D", "her0d", "h3r0d", "hеrоd", "ћеrod", "Нeroд", "ⓗⓔⓡⓞⓓ", "heröd", "local admin",
        "anonymous", "𝐡𝐞𝐫𝐨𝐝", "Ｈｅｒｏｄ", "һегоԁ", "10cal admin", "herød", "ħerođ", "ʜᴇʀᴏᴅ", "ɦeroɗ",
    ],
)  # fmt: skip
def test_herods_own_names(text: str) -> None:
    """Nothing that reads like herod's own names is one of an app, in whatever letters."""
    with pytest.raises(InvalidRequest):
        parse_app_name(text)


@pytest.mark.parametrize("text", ["Сlaude", "Clаude Code", "Gοοgle", "Goоgle", "Microsоft", "Αpple", "Սlack", "Codeх"])
def test_mixed_alphabets(text: str) -> None:
    """A word with letters of two alphabets that look alike is refused, and the message names them."""
    with pytest.raises(InvalidRequest, match=r"letters of several alphabets, [A-Z][a-z]+ and [A-Z][a-z]+"):
        parse_app_name(text)


@pytest.mark.parametrize(
    "text", ["", " ", "\u202eabc", "a\u200b", "a\nb", "\x1b[2J", "x" * 129, "x" * 100_000, "\u0301"]
)
def test_what_no_name_is(text: str) -> None:
    """Empty, long and invisible texts are no names."""
    with pytest.raises(InvalidRequest):
        parse_app_name(text)
