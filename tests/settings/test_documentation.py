"""docs/configuration.md matches the table of options in the code."""

from pathlib import Path

import click
import pytest

from herod.settings import OPTIONS, SECRETS
from herod.settings.setting_kinds import Option
from herod_cli.commands.serve import serve

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def show(value: object) -> str:
    """A default as the page shows it."""
    if isinstance(value, bool):
        return "off"
    return "`" + (" ".join(map(str, value)) if isinstance(value, tuple) else str(value)) + "`"


def option_row(option: Option) -> str:
    """An option's row in the page."""
    name = f"`{option.flag}`" if option.is_flag else "-"
    key = f"`{option.name}`" if option.in_file else "-"
    default = option.shown if option.default in (None, ()) else show(option.default)
    return f"| {name} | `{option.variable}` | {key} | {default} | {option.help} |"


ROWS = [option_row(option) for option in OPTIONS.values()]


@pytest.mark.parametrize("row", ROWS)
def test_row(row: str) -> None:
    """Every option has its row, word for word."""
    assert row in PAGE.read_text().splitlines()


def test_no_row_too_many() -> None:
    """The page's table has no row that is not in the code."""
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    heads = [line for line in rows if line not in ROWS]
    assert len(rows) - len(heads) == len(ROWS)
    assert len(heads) == 1  # the header of the table


def test_secrets() -> None:
    """Each source of a secret is documented."""
    page = PAGE.read_text()
    for secret in SECRETS:
        for name in (secret.variable, secret.file_variable, secret.credential):
            assert f"`{name}`" in page


def test_command_line() -> None:
    """`herod serve` has exactly the options of the table, each once."""
    flags = [name for parameter in serve.params if isinstance(parameter, click.Option) for name in parameter.opts]
    ours = [option.flag for option in OPTIONS.values() if option.is_flag]
    assert sorted(set(flags) - {"--help", "-h"}) == sorted(ours)
