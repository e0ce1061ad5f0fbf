"""The command is held to the operation table: what it calls exists, with these parameters, and nothing is left out."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

import herod_cli
from cli.commands import test_app, test_user_and_key
from herod.operations.operation_table import OPERATIONS
from herod.pipeline.operation_definition import Surface
from herod.pipeline.result_views import AppView, Key, PeerView, User
from herod.protocols.decode import convert_params
from herod.protocols.documents.oauth_metadata import SERVER_PATH
from herod.scopes.principal import AuthMethod
from herod_cli.sign_in.lasting_sign_ins import METADATA_PATH
from support.fake_daemon import APP, KEY, PEER, USER

SOURCES: Final = sorted(Path(herod_cli.__file__).parent.rglob("*.py"))
ASKING: Final = {"get": "GET", "download": "GET", "post": "POST", "post_form": "POST"}
CALLS: Final = {"call", "items", "ask"}
# Operations that have no command, each with its reason.
WITHOUT: Final = {
    "health": "`herod status` asks the route, which answers also when the store does not",
    "version": "`herod status`",
    "login": "`herod login` posts to its route",
    "register": "for people who have no account yet",
    "token.create": "`herod token issue` posts to its route",
    "token.changes": "for verifiers",
    "approvals.get": "`herod approval list` shows them",
    "approvals.decide": "a person decides, in a browser",
    "auth.verify": "of Hero Supervisor",
    "auth.create_key": "of Hero Supervisor",
    "auth.list_keys": "of Hero Supervisor",
    "auth.remove_key": "of Hero Supervisor",
    "backup": "`herod backup` reads its route",
    "delegations.get": "`herod app connected` lists them",
    "openid.userinfo": "for apps",
}


def called() -> Iterator[tuple[str, set[str]]]:
    """Each call of an operation in the command's sources, with the parameters that are named."""
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CALLS:
                first = node.args[0] if node.args else None
                if isinstance(first, ast.Constant) and isinstance(first.value, str) and not first.value.startswith("/"):
                    yield first.value, {word.arg for word in node.keywords if word.arg is not None}


def test_what_is_called_exists() -> None:
    """Every operation that a command names is in the table, with every parameter that it names."""
    found = list(called())
    assert len(found) > 50
    assert {name for name, _ in found} - set(OPERATIONS) == set()
    assert [
        (name, word) for name, words in found for word in words if word not in OPERATIONS[name].params.__struct_fields__
    ] == []


def asked() -> Iterator[tuple[str, str]]:
    """Each route that the command's sources ask by its path."""
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ASKING:
                first = node.args[0] if node.args else None
                if isinstance(first, ast.Constant) and isinstance(first.value, str) and first.value.startswith("/"):
                    yield ASKING[node.func.attr], first.value


def test_what_is_asked_exists() -> None:
    """Every route that a command asks by its path is one of an operation, or a document."""
    found = set(asked())
    assert found >= {("POST", "/token"), ("POST", "/device_authorization"), ("POST", "/revoke"), ("POST", "/login")}
    routes = {(route.method, route.path) for one in OPERATIONS.values() for route in one.routes}
    assert found - routes == set()
    assert METADATA_PATH == SERVER_PATH


def test_every_operation_has_a_command() -> None:
    """Whatever JSON-RPC offers, a command offers too, but for what is listed above."""
    offered = {
        name
        for name, one in OPERATIONS.items()
        if Surface.RPC in one.surfaces and one.grant_type is None and one.methods != frozenset({AuthMethod.SESSION})
    }
    assert offered - {name for name, _ in called()} - set(WITHOUT) == set()
    assert set(WITHOUT) <= set(OPERATIONS)


@pytest.mark.parametrize(("name", "params"), [(row[1], row[2]) for row in (*test_app.ASKED, *test_user_and_key.ASKED)])
def test_parameters_have_the_right_types(name: str, params: dict[str, Any]) -> None:
    """What the tests of commands expect to be sent is what the operation takes."""
    convert_params(OPERATIONS[name], params, is_text=False)


@pytest.mark.parametrize(("sample", "view"), [(APP, AppView), (USER, User), (KEY, Key), (PEER, PeerView)])
def test_samples(sample: dict[str, Any], view: type[msgspec.Struct]) -> None:
    """The fake daemon of these tests answers with the fields that the real one has."""
    assert set(sample) == set(view.__struct_fields__)
    msgspec.convert(sample, view)
