"""Operations that share a form route are told apart by the form's `grant_type`."""

from typing import Annotated, Any

import msgspec
import pytest

from herod.operations.operation_table import OPERATIONS
from herod.pipeline.operation_definition import Context, GivesNothing, NoTarget, Operation, Params, command
from herod.pipeline.parameters.parameter_types import AS_IT_IS
from herod.pipeline.result_views import TokenAnswer
from herod.protocols.documents.openapi import openapi_document
from herod.protocols.host_and_origin_guard import Guard
from herod.protocols.router import Router
from herod.scopes.decisions import Access
from herod.store.store_interface import Writer
from support.herod_in_memory import Harness

OTHER = "urn:example:other"


class Other(Params, frozen=True, kw_only=True):
    """Another grant."""

    grant_type: Annotated[str, msgspec.Meta(extra_json_schema={"enum": [OTHER]}), AS_IT_IS]
    proof: Annotated[str, AS_IT_IS]


@command(
    "token.other",
    credential=True,
    gives=GivesNothing("for a test"),
    needs=Access.PUBLIC,
    target=NoTarget("for a test"),
    example={"grant_type": OTHER, "proof": "x"},
    http=("POST /token",),
    form=True,
    grant_type=OTHER,
)
def _other(tx: Writer, context: Context, params: Other) -> TokenAnswer:
    """Issue a token for another grant."""
    return TokenAnswer(access_token=params.proof, expires_in=1, scope="read")


assert isinstance(_other, Operation)
TABLE = {**OPERATIONS, _other.name: _other}


@pytest.fixture
def shared(harness: Harness) -> Harness:
    """A herod with another grant at `/token`."""
    harness.router = Router(harness.pipeline, TABLE, Guard())
    return harness


async def test_each_grant_type_reaches_its_operation(shared: Harness) -> None:
    """The form's grant type says which operation is called, with the parameters of that one."""
    user = await shared.user()
    answer = await shared.request("POST", "/token", form=f"grant_type={OTHER}&proof=it&scope=ignored")
    assert (answer.status, answer.json["access_token"]) == (200, "it")
    answer = await shared.request("POST", "/token", form="grant_type=client_credentials", headers=user.basic_header)
    assert (answer.status, answer.json["scope"]) == (200, "read")


@pytest.mark.parametrize(
    ("form", "error", "told"),
    [
        ("grant_type=password", "unsupported_grant_type", OTHER),
        ("grant_type=client_credentials&grant_type=password", "invalid_request", "twice"),
        (f"grant_type={OTHER}", "invalid_request", "'proof'"),
    ],
)
async def test_faults_name_what_is_wrong(shared: Harness, form: str, error: str, told: str) -> None:
    """An unknown grant type is answered with the known ones, a known one's missing parameter by name."""
    answer = await shared.request("POST", "/token", form=form)
    assert (answer.status, answer.json["error"]) == (400, error)
    assert told in answer.json["error_description"]


async def test_the_document_describes_one_operation_with_all_grants(harness: Harness) -> None:
    """OpenAPI has one operation a route: its form takes the parameters of every grant, and says which each needs."""
    document = openapi_document(TABLE.values(), harness.runtime, {})
    token: dict[str, Any] = document["paths"]["/token"]["post"]
    (media,) = token["requestBody"]["content"].values()
    schema = media["schema"]
    assert token["operationId"] == "token.create"
    assert {"client_credentials", OTHER} <= set(schema["properties"]["grant_type"]["enum"])
    assert {"scope", "resource", "proof"} <= schema["properties"].keys()
    assert f"`grant_type={OTHER}` needs `proof`." in token["description"]
    assert {"client_credentials", OTHER} <= set(media["examples"])
