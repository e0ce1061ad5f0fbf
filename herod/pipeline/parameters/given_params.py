"""An operation's parameters as the pipeline hands them on: normalized, and without the caller's credential."""

import msgspec

from herod.identity.credential_types import Bearer, Presented
from herod.pipeline.operation_definition import Operation, Params

__all__ = ["normalized", "take_credential"]


def normalized(operation: Operation, params: Params) -> Params:
    """A command's parameters with each text normalized.

    Raises:
        InvalidRequest: one of them is invalid.
    """
    given = {name: getattr(params, name) for name in operation.normal_forms}
    changes = {name: operation.normal_forms[name](text) for name, text in given.items() if isinstance(text, str)}
    return msgspec.structs.replace(params, **changes) if changes else params


def take_credential(
    operation: Operation, params: Params, presented: Presented | None
) -> tuple[Params, Presented | None]:
    """A credential among the parameters overrides the header's and never reaches the handler."""
    name = operation.credential_field
    text = getattr(params, name) if name is not None else None
    if name is None or text is None:
        return params, presented
    return msgspec.structs.replace(params, **{name: None}), Bearer(text)
