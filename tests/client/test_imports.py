"""The imports of the client package."""

import subprocess
import sys

import pytest

import herod_client


def test_the_command_does_not_pay_for_the_verifier() -> None:
    """Neither trio nor cryptography is loaded before a name that needs it."""
    code = "import sys, herod_client; sys.exit(bool({'trio', 'cryptography', 'httptools', 'jwt'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", herod_client.__all__)
def test_every_name_is_there(name: str) -> None:
    """Every exported name exists, also those loaded lazily."""
    assert getattr(getattr(herod_client, name), "__name__", name) == name


def test_no_other_name() -> None:
    """An unknown name is an AttributeError."""
    with pytest.raises(AttributeError, match="Verfier"):
        herod_client.Verfier  # noqa: B018 - the access is the test
