"""Every fixed limit: its section and row in docs/limits.md, and the constant that holds its number.

A new limit is one line in one of the three tables and the same row in the page. They must never hold a number
themselves: `module:NAME` names the constant, and what follows a dot is an attribute or an index of it; of a class it is
that of its default instance.
"""

from importlib import import_module
from typing import Final

from settings.limits_of_requests import OF_REQUESTS
from settings.limits_of_sign_ins import OF_SIGN_INS
from settings.limits_of_stored_data import OF_STORED_DATA

__all__ = ["FIXED", "number_of"]

FIXED: Final = {**OF_REQUESTS, **OF_SIGN_INS, **OF_STORED_DATA}


def number_of(constant: str) -> float:
    """The number that `module:NAME` holds."""
    module, _, path = constant.partition(":")
    value: object = import_module(module)
    for step in path.split("."):
        if isinstance(value, type):
            value = value()
        value = value[int(step)] if isinstance(value, tuple) else getattr(value, step)
    assert isinstance(value, int | float), constant
    return value
