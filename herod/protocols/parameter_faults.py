"""What is wrong with parameters, as a sentence: msgspec's errors in the words of JSON, with the parameter named."""

import re
import typing
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from herod_client.core.errors import quoted

__all__ = ["parameter_fault"]

# What msgspec says; the field and enum names are the client's own.
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_MISSING: Final = re.compile(r"Object missing required field `(?P<name>[^`]*)`")
_ENUM: Final = re.compile(r"Invalid enum value (?P<value>.*)", re.DOTALL)
_TYPE: Final = re.compile(r"Expected `(?P<wanted>[^`]*)`, got `(?P<found>[^`]*)`")
_BOUND: Final = re.compile(r"Expected `(?P<wanted>[^`]*)` (?P<bound>.*)", re.DOTALL)
_PLACE: Final = re.compile(r" - at (?:`key` in )?`\$\.?(?P<path>[^`]*)`\Z")
_MARKS: Final = "`'"
_TYPES: Final = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


def parameter_fault(
    error: msgspec.ValidationError,
    params: type,
    *,
    whole: str = "The body must be an object",
    fields: Mapping[str, str | None] | None = None,
) -> str:
    """What is wrong with the parameters.

    Args:
        error: what msgspec says.
        params: the Struct that they should have become.
        whole: what holds them, and what it must be.
        fields: a query's or form's, whose values are all strings; without it the words are those of JSON.
    """
    text = str(error)
    place = _PLACE.search(text)
    text = text if place is None else text[: place.start()]
    path = "" if place is None else place["path"]
    if match := _UNKNOWN.fullmatch(text):
        elsewhere: Mapping[str, str] = getattr(params, "elsewhere", {})
        if not path and match["name"] in elsewhere:
            return f"Unknown parameter {match['name']!r}. {elsewhere[match['name']]}"
        known = ", ".join(() if path else getattr(params, "__struct_fields__", ()))
        return f"Unknown parameter {quoted(_inside(path, match['name']))}" + (f": known are {known}." if known else ".")
    if match := _MISSING.fullmatch(text):
        return f"The parameter {_inside(path, match['name'])!r} is missing."
    subject = f"The parameter {path!r}"
    must = f"{subject} must be" if path else whole
    found = "" if fields is None else f", not {quoted(fields.get(path) or '')}"
    if match := _TYPE.fullmatch(text):
        wanted = f" {_name_types(match['wanted'], is_text=fields is not None)}" if path else ""
        return f"{must}{wanted}{found or ', not ' + _name_types(match['found'])}."
    if match := _BOUND.fullmatch(text):
        bound = _name_bound(match["bound"])
        return f"{must} {_name_types(match['wanted'], is_text=fields is not None)} {bound}{found}."
    if match := _ENUM.fullmatch(text):
        choices = _choices(params, path)
        what = f"choose {choices}" if choices else "see its values in the documentation"
        return f"{subject} cannot be {quoted(match['value'].strip(_MARKS))}: {what}."
    if "out of range" in text:
        return f"{subject} contains a number that is out of range: write a smaller one."
    return f"{subject} is not valid: {text}."


def _inside(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _choices(params: type, path: str) -> str:
    """The values of a parameter that has only a few."""
    hint: Any = typing.get_type_hints(params).get(path)
    for part in (hint, *typing.get_args(hint)):
        if typing.get_origin(part) is Literal:
            *most, last = map(str, typing.get_args(part))
            return f"{', '.join(most)} or {last}" if most else last
    return ""


def _name_bound(bound: str) -> str:
    """`<= 5` as "of at most 5", `of length <= 5` as "of length at most 5"."""
    of = "" if bound.startswith("of ") else "of "
    return bound.replace("<=", f"{of}at most").replace(">=", f"{of}at least")


def _name_types(names: str, *, is_text: bool = False) -> str:
    """`str | null` as "a string or null"; a query has no null."""
    return " or ".join(_TYPES.get(name, name) for name in names.split(" | ") if not (is_text and name == "null"))
