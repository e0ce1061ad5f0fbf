"""The tools: generated from the operations, with schemas that match inputs and results, and correct hints."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from herod.operations.operation_table import OPERATIONS
from herod.pipeline.operation_definition import Operation, Params, Tool, query
from herod.pipeline.parameters.parameter_annotations import CredentialText
from herod.protocols.mcp.tools import make_tools
from herod.scopes.decisions import Access

TOOLS = make_tools(OPERATIONS.values())
# The pinned table of INTERFACES, written again by hand.
PINNED = {
    "health", "stats", "whoami", "validate_token", "revoke_token", "list_users", "get_user", "add_user", "delete_user",
    "set_user_scope", "disable_user", "create_key", "list_keys", "rotate_key", "disable_key", "delete_key", "explain",
}  # fmt: skip
READS = {"health", "stats", "whoami", "validate_token", "list_users", "get_user", "list_keys", "explain"}
ADDS = {"add_user", "create_key"}
SECRETS = {"add_user", "create_key", "rotate_key"}


def listing(name: str) -> dict[str, Any]:
    """The listing of a tool."""
    shown: dict[str, Any] = json.loads(bytes(TOOLS[name].listing))
    return shown


def test_the_pinned_tools_are_there() -> None:
    """The promised tools exist, under names that every client accepts."""
    assert set(TOOLS) >= PINNED
    assert all(re.fullmatch("[a-z_]{1,64}", name) for name in TOOLS)


def test_the_documentation_lists_them() -> None:
    """The documentation lists each tool with its operation and needed scope."""
    page = (Path(__file__).parents[3] / "docs" / "mcp.md").read_text()
    for name, tool in TOOLS.items():
        needs = tool.operation.needs
        row = f"| `{name}` | {tool.operation.name} | {'any credential' if isinstance(needs, Access) else needs}"
        assert row in page


@pytest.mark.parametrize("name", sorted(TOOLS))
def test_schemas(name: str) -> None:
    """Schemas are Draft 2020-12 objects without outside references, and the example matches the input schema."""
    shown = listing(name)
    for schema in (shown["inputSchema"], shown["outputSchema"]):
        Draft202012Validator.check_schema(schema)
        assert schema["type"] == "object"
        references = re.findall(r'"\$ref": "([^"]*)"', json.dumps(schema))
        assert all(reference.removeprefix("#/$defs/") in schema["$defs"] for reference in references)
    assert shown["inputSchema"]["additionalProperties"] is False
    Draft202012Validator(shown["inputSchema"]).validate(dict(TOOLS[name].operation.example))


@pytest.mark.parametrize("name", sorted(PINNED))
def test_annotations(name: str) -> None:
    """Hints distinguish reading, adding and destroying, so that clients ask a person before the last."""
    hints = listing(name)["annotations"]
    assert hints["readOnlyHint"] is (name in READS)
    assert hints.get("destructiveHint") == (None if name in READS else name not in ADDS)
    assert hints["openWorldHint"] is False
    assert listing(name)["title"]


@pytest.mark.parametrize("name", sorted(PINNED))
def test_a_tool_that_answers_a_secret_says_so(name: str) -> None:
    """A tool that returns a secret says so, so that an agent does not store it."""
    assert ("shown only once" in listing(name)["description"]) == (name in SECRETS)


def test_the_description_names_the_scope() -> None:
    """The description names the needed scope, which an agent cannot see otherwise."""
    assert "Needs scope admin." in listing("list_users")["description"]
    assert "Needs scope" not in listing("whoami")["description"]


class WithCredential(Params, frozen=True, kw_only=True):
    """Parameters with a credential field."""

    admin_key: CredentialText | None = None


def make(result: Any, params: type[Params] = Params) -> Operation:
    """An operation with a tool."""
    made = OPERATIONS["whoami"]
    return dataclasses.replace(made, result=result, params=params, tool=Tool("made"))


def test_a_result_that_is_no_object_stands_in_one() -> None:
    """Lists and plain values are wrapped in an object, because 2025-11-25 allows only objects."""
    (tool,) = make_tools([make(list[int])]).values()
    schema = json.loads(bytes(tool.listing))["outputSchema"]
    answer = json.loads(tool.encode([1, 2]))
    assert answer == {"result": [1, 2]}
    Draft202012Validator(schema).validate(answer)


def test_two_tools_of_one_name() -> None:
    """Two tools with the same name fail at startup."""
    with pytest.raises(TypeError, match="duplicate tool name: made"):
        make_tools([make(int), make(int)])


def test_no_tool_takes_a_credential() -> None:
    """A tool may not take a credential, so that agents are not asked for one or made to use another's."""

    @query("made", needs="admin", example={}, tool=Tool("made"))
    def made(reader: Any, context: Any, params: WithCredential) -> int:
        """Return nothing."""
        return msgspec.UNSET  # type: ignore[return-value] # never run

    with pytest.raises(TypeError, match="takes a credential"):
        make_tools([made])
