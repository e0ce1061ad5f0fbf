"""What the types of operations' parameters say: which is a credential, which are secret, how texts are normalized."""

import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Final

import msgspec

__all__ = ["CredentialText", "NormalForm", "SecretText", "credential_field", "normal_forms", "secret_fields"]

CREDENTIAL: Final = "credential"
# A parameter of this type is a credential: `identify` gets it, and the handler never does.
CredentialText = Annotated[str, msgspec.Meta(extra={CREDENTIAL: True}, extra_json_schema={"format": "password"})]
# A result of this type is a secret that is shown only once.
SecretText = Annotated[str, msgspec.Meta(extra_json_schema={"format": "password"})]


@dataclass(frozen=True, slots=True)
class NormalForm:
    """How a text is normalized before a command sees it; part of the parameter's type.

    Attributes:
        parse: raises `InvalidRequest` for an invalid text; None for a text that is used unchanged.
        why: for a text that is used unchanged, the reason.
    """

    parse: Callable[[str], str] | None
    why: str = ""


def credential_field(params: type[msgspec.Struct]) -> str | None:
    """The name of the parameter that is a credential, if there is one."""
    for name, hint in typing.get_type_hints(params, include_extras=True).items():
        for meta in _metas(hint):
            if isinstance(meta, msgspec.Meta) and (meta.extra or {}).get(CREDENTIAL):
                return name
    return None


def secret_fields(params: type[msgspec.Struct]) -> frozenset[str]:
    """The names of the parameters that are secret: nobody is shown them."""
    hints = typing.get_type_hints(params, include_extras=True)
    return frozenset(name for name, hint in hints.items() if any(_is_secret(meta) for meta in _metas(hint)))


def _is_secret(meta: Any) -> bool:
    return isinstance(meta, msgspec.Meta) and (meta.extra_json_schema or {}).get("format") == "password"


def _metas(hint: Any) -> Iterable[Any]:
    """What a type is annotated with, each part of a union included."""
    for part in (hint, *typing.get_args(hint)):
        yield from getattr(part, "__metadata__", ())


def normal_forms(name: str, params: type[msgspec.Struct]) -> Mapping[str, Callable[[str], str]]:
    """The functions that normalize a command's texts.

    Raises:
        TypeError: a text does not declare how it is normalized.
    """
    found: dict[str, Callable[[str], str]] = {}
    for parameter, hint in typing.get_type_hints(params, include_extras=True).items():
        if parameter not in params.__struct_fields__:
            continue
        for part in typing.get_args(hint) if typing.get_origin(hint) in {typing.Union, UnionType} else (hint,):
            form = _form_of(part)
            if form is None and typing.get_args(part)[:1] in {(), (str,)} and (part is str or typing.get_args(part)):
                raise TypeError(f"command {name} does not say how {parameter} is normalized: NormalForm in its type")
            if form is not None and form.parse is not None:
                found[parameter] = form.parse
    return found


def _form_of(hint: Any) -> NormalForm | None:
    for meta in getattr(hint, "__metadata__", ()):
        if isinstance(meta, NormalForm):
            return meta
        if isinstance(meta, msgspec.Meta) and (meta.extra or {}).get(CREDENTIAL):
            return NormalForm(None, "a credential")
    return None
