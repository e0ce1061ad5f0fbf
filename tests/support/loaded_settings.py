"""Settings as a test gives them: with a valid secret, an environment and perhaps a file; and their refusals."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from herod.settings import Settings, load_settings
from herod_client.core.errors import SettingsError

__all__ = ["ENVIRON", "SECRET", "from_toml", "load", "refusal", "toml_refusal"]

SECRET = "jN3k8sV1xQ0pZ7wB5tY2uR9mC4hL6dGf"
ENVIRON = {"HERO_SECRET": SECRET, "HOME": "/nowhere"}


def load(environ: Mapping[str, str] | None = None, *, uid: int = 1000, **options: object) -> Settings:
    """Settings with a valid secret and the test's additions."""
    return load_settings(options, ENVIRON | dict(environ or {}), uid=uid)


def from_toml(tmp_path: Path, text: str, **options: object) -> Settings:
    """Settings with this file."""
    path = tmp_path / "herod.toml"
    path.write_text(text)
    path.chmod(0o600)
    return load_settings({"config": path, **options}, ENVIRON, uid=1000)


def refusal(environ: Mapping[str, str] | None = None, **options: object) -> str:
    """The one-line refusal of these settings."""
    with pytest.raises(SettingsError) as caught:
        load_settings(options, ENVIRON | dict(environ or {}), uid=1000)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def toml_refusal(tmp_path: Path, text: str) -> str:
    """The one-line refusal of this file, without its path."""
    with pytest.raises(SettingsError) as caught:
        from_toml(tmp_path, text)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{tmp_path}/herod.toml: ")
    return message.removeprefix(f"{tmp_path}/herod.toml: ")
