"""Each string parameter of a command has a normal form, or is declared to be taken unchanged."""

from typing import Annotated, Any

import msgspec
import pytest

from herod.identity.credential_types import Bearer
from herod.operations.operation_table import OPERATIONS
from herod.pipeline.operation_definition import NoTarget, Params, command
from herod.pipeline.parameters.email_addresses import parse_email
from herod.pipeline.parameters.parameter_types import Email
from herod.pipeline.parameters.text_normalization import parse_label, parse_name
from herod_client.core.errors import InvalidRequest
from herod_client.core.scope_graph import ADMIN
from support.herod_in_memory import TCP, Harness

# Stored values that are shown or looked up again. Losing a normal form must fail a test.
FORMS = {
    "auth.create_key": {"name": parse_name},
    "first_admin.create": {"email": parse_email, "name": parse_name},
    "keys.create": {"name": parse_name},
    "keys.update": {"name": parse_name},
    "legacy.promote": {"name": parse_name},
    "register": {"email": parse_email, "name": parse_name},
    "resources.update": {"name": parse_label},
    "users.add": {"email": parse_email, "name": parse_name},
    "users.update": {"name": parse_name},
}


class Bare(Params, frozen=True, kw_only=True):
    """A string without any declaration."""

    note: str


class Described(Params, frozen=True, kw_only=True):
    """A string with a description only."""

    note: Annotated[str, msgspec.Meta(description="a note")] | None = None


class Formed(Params, frozen=True, kw_only=True):
    """A string with a normal form."""

    email: Email


@pytest.mark.parametrize("name", FORMS)
def test_forms_of_the_table(name: str) -> None:
    """Names and emails are brought to their normal form."""
    assert OPERATIONS[name].normal_forms == FORMS[name]


@pytest.mark.parametrize("params", [Bare, Described])
def test_a_text_without_a_word(params: type[Params]) -> None:
    """A command with an undeclared string is refused at its definition."""

    def handler(tx: Any, context: Any, params: Any) -> None:
        """Do nothing."""

    handler.__annotations__["params"] = params
    with pytest.raises(TypeError, match="does not say how note is normalized"):
        command("made.up", needs=ADMIN, credential=False, example={}, target=NoTarget("a test"))(handler)


async def test_before_the_handler(harness: Harness) -> None:
    """The handler receives the normal form, and invalid values are refused before it runs."""
    seen: list[Any] = []

    def handler(tx: Any, context: Any, params: Formed) -> None:
        """Record the parameters."""
        seen.append(params.email)

    operation = command("made.up", needs=ADMIN, credential=False, example={}, target=NoTarget("a test"))(handler)
    service_key = await harness.service_key("admin")
    presented = Bearer(service_key)
    await harness.pipeline.call(operation, Formed(email=" Ada@Example.ORG "), presented, TCP)
    with pytest.raises(InvalidRequest):
        await harness.pipeline.call(operation, Formed(email="no address"), presented, TCP)
    assert seen == ["ada@example.org"]
