"""The daemon with faults in two handlers, which raise exceptions with everything they have. For tests only."""

import dataclasses
from types import MappingProxyType
from typing import Any, NoReturn

import herod.app
from herod.operations.operation_table import OPERATIONS
from herod_cli.main import main


def refuse(*everything: Any) -> NoReturn:
    """Raise the inner exception."""
    raise ValueError(*everything)


def fail(store: Any, context: Any, params: Any) -> NoReturn:
    """Raise an exception with everything at hand, chained to another."""
    try:
        refuse(params, context)
    except ValueError as error:
        raise RuntimeError(f"{params!r} {context!r} {vars(type(params)).get('x')}") from error


if __name__ == "__main__":
    broken = {name: dataclasses.replace(OPERATIONS[name], handler=fail) for name in ("token.validate", "users.add")}
    herod.app.OPERATIONS = MappingProxyType({**OPERATIONS, **broken})  # type: ignore[attr-defined]  # an injected fault
    main()
