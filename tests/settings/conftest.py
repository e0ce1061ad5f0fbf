"""What all tests of the settings need: that none of this machine's own count."""

from pathlib import Path

import pytest

from herod.settings import setting_sources


@pytest.fixture(autouse=True)
def no_system_config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide this machine's own settings."""
    monkeypatch.setattr(setting_sources, "SYSTEM_CONFIG", tmp_path / "etc" / "herod.toml")
