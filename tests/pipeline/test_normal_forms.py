"""Each text that a command is given has one form, or says that it is taken as it is."""

from typing import Annotated, Any

import msgspec
import pytest

from herod.identity.credential_types import Bearer
from herod.operations.operation_table import OPERATIONS
from herod.pipeline.operation_definition import NoTarget, Params, command
from herod.pipeline.parameter_types import Email
from herod.pipeline.text_normalization import parse_email, parse_label, parse_name
from herod_client.core.errors import InvalidRequest
from herod_client.core.scope_graph import ADMIN
from support.herod_in_memory import TCP, Harness

# What is kept, and shown to people or looked up again. One that loses its form must not do so unseen.
FORMS = {
    "auth.create_key": {"name": parse_name},
    "first_admin.create": {"email": parse_email, "name": parse_name},
    "keys.create": {"name": parse_name},
    "keys.update": {"name": parse_name},
    "legacy.promote": {"name": parse_name},
    "register": {"email": parse_email, "name": parse_name},
    "resources.update": {"name": parse_label},
    "users.add": {"email": parse_email, "name": parse_name},
    "users.update": {"email": parse_email, "name": parse_name},
}


class Bare(Params, frozen=True, kw_only=True):
    """A text of which nothing is said."""

    note: str


class Described(Params, frozen=True, kw_only=True):
    """Nor here."""

    note: Annotated[str, msgspec.Meta(description="a note")] | None = None


class Formed(Params, frozen=True, kw_only=True):
    """One that has a form."""

    email: Email


@pytest.mark.parametrize("name", FORMS)
def test_forms_of_the_table(name: str) -> None:
    """Names and emails are brought into one form."""
    assert OPERATIONS[name].normal_forms == FORMS[name]


@pytest.mark.parametrize("params", [Bare, Described])
def test_a_text_without_a_word(params: type[Params]) -> None:
    """A command with a text that says nothing is refused when it is defined."""

    def handler(tx: Any, context: Any, params: Any) -> None:
        """Keep it."""

    handler.__annotations__["params"] = params
    with pytest.raises(TypeError, match="does not say which form note has"):
        command("made.up", needs=ADMIN, credential=False, example={}, target=NoTarget("a test"))(handler)


async def test_before_the_handler(harness: Harness) -> None:
    """The handler has the one form; what has none is refused before it."""
    seen: list[Any] = []

    def handler(tx: Any, context: Any, params: Formed) -> None:
        """Note what comes."""
        seen.append(params.email)

    operation = command("made.up", needs=ADMIN, credential=False, example={}, target=NoTarget("a test"))(handler)
    service_key = await harness.service_key("admin")
    presented = Bearer(service_key)
    await harness.pipeline.call(operation, Formed(email=" Ada@Example.ORG "), presented, TCP)
    with pytest.raises(InvalidRequest):
        await harness.pipeline.call(operation, Formed(email="no address"), presented, TCP)
    assert seen == ["ada@example.org"]
