"""The daemon with a fault in two of its handlers, which put all they know into an exception. For tests only."""

import dataclasses
from types import MappingProxyType
from typing import Any, NoReturn

import herod.app
from herod.operations.operation_table import OPERATIONS
from herod_cli.main import main


def refuse(*everything: Any) -> NoReturn:
    """The exception inside the other."""
    raise ValueError(*everything)


def fail(store: Any, context: Any, params: Any) -> NoReturn:
    """Raise what holds everything at hand, one exception inside another."""
    try:
        refuse(params, context)
    except ValueError as error:
        raise RuntimeError(f"{params!r} {context!r} {vars(type(params)).get('x')}") from error


if __name__ == "__main__":
    broken = {name: dataclasses.replace(OPERATIONS[name], handler=fail) for name in ("token.validate", "users.add")}
    herod.app.OPERATIONS = MappingProxyType({**OPERATIONS, **broken})  # type: ignore[attr-defined]  # a fault, put in
    main()
