"""How a command that cannot start ends: a whole sentence and the exit code of its error."""

import pytest

from herod_cli.exit_codes import report
from herod_client.core.errors import RuntimeFailure, SettingsError, StartupError


@pytest.mark.parametrize(
    ("error", "says", "code"),
    [
        (RuntimeFailure("the store x is in use"), "the store x is in use.", 1),
        (RuntimeFailure("the file ends early (EOF)"), "the file ends early (EOF).", 1),
        (SettingsError("HEROD_BIND: 'x' has no port: give one"), "HEROD_BIND: 'x' has no port: give one.", 2),
        (SettingsError("x is UTF-16: save it as UTF-8."), "x is UTF-16: save it as UTF-8.", 2),
        (SettingsError("x is not JSON: is it the right file?"), "x is not JSON: is it the right file?", 2),
    ],
)
def test_messages_end_with_a_stop(
    error: StartupError, says: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last line of a message says what to do, and ends."""
    assert report(error) == code
    assert capsys.readouterr().err == f"herod: {says}\n"
