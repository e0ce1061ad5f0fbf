"""Empty is not absent: what an empty value of a setting means, in each of the three places."""

from pathlib import Path
from typing import Any

import pytest

from herod_client.core.errors import SettingsError
from herod_client.core.scope_graph import ScopeGraph
from support.loaded_settings import load


@pytest.mark.parametrize("value", ["", " ", "\t"])
@pytest.mark.parametrize(
    "name", ["HEROD_REGISTRATION", "HEROD_NETWORKS", "HEROD_AUDIT_FILE", "HEROD_ADMIN_SECRET", "HEROD_TOKEN_TTL"]
)
def test_an_empty_variable_is_warned_about(name: str, value: str) -> None:
    """An empty variable, which may be a mistake, is named in the log: what it should have set is not in force."""
    warning = f"{name} is empty, which counts as not set: give it a value, or unset it."
    assert (load({name: value}).warnings, load().warnings) == ((warning,), ())


@pytest.mark.parametrize(
    "name", ["issuer", "config", "store", "public_url", "audit_file", "bootstrap_admin_key", "signing", "registration"]
)
def test_an_empty_option_is_refused(name: str) -> None:
    """Where nothing can be set by an empty value, the command line refuses it."""
    options: dict[str, Any] = {name: ""}
    with pytest.raises(SettingsError, match=f"--{name.replace('_', '-')}: found ''"):
        load(**options)


@pytest.mark.parametrize("name", ["bind", "admin_secret", "user_secret", "register_secret", "trusted_proxies"])
def test_an_empty_item_is_refused(name: str) -> None:
    """Nor is an empty item of a list accepted."""
    options: dict[str, Any] = {name: ("",)}
    with pytest.raises(SettingsError, match=f"--{name.replace('_', '-')}: found "):
        load(**options)


@pytest.mark.parametrize(
    "line",
    [
        "networks = []",
        'networks = [""]',
        'hosts = [""]',
        'origins = [""]',
        'frame_origins = [""]',
        'trusted_proxies = [""]',
        'admin_secret = [""]',
        "bind = []",
        'bind = [""]',
        'audit_file = ""',
        'public_url = ""',
        'issuer = ""',
        '[scopes]\n"" = {}',
    ],
)
def test_an_empty_value_in_the_file_is_refused(line: str, tmp_path: Path) -> None:
    """In the file too, except an empty list of what there may be none of."""
    path = tmp_path / "given.toml"
    path.write_text(line, encoding="utf-8")
    with pytest.raises(SettingsError):
        ScopeGraph(load(config=str(path)).scopes)
