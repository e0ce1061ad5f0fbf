"""QR codes: the path that a page draws is the code, module by module, with its quiet zone."""

import re

import pytest
import segno

from herod.credentials.factors.totp import new_totp_secret, totp_address
from herod.dashboard.signing_in.qr_codes import QUIET, qr_code

RUN = re.compile(r"M(\d+) (\d+)h(\d+)v1h-(\d+)z")


def drawn(path: str) -> set[tuple[int, int]]:
    """The dark modules (x, y) of a path."""
    assert RUN.sub("", path) == ""
    modules = set()
    for x, y, there, back in (map(int, run) for run in RUN.findall(path)):
        assert there == back
        modules |= {(x + step, y) for step in range(there)}
    return modules


@pytest.mark.parametrize("account", ["ada@example.org", "Ä" * 60])
def test_the_path_is_the_code(account: str) -> None:
    """What is drawn is what the encoder says, with four light modules around it."""
    text = totp_address(new_totp_secret(), account=account, issuer="herod")
    code = qr_code(text)
    matrix = segno.make(text, error="m", micro=False).matrix
    dark = {(x + QUIET, y + QUIET) for y, row in enumerate(matrix) for x, module in enumerate(row) if module}
    assert drawn(code.path) == dark
    assert code.side == len(matrix) + 2 * QUIET
