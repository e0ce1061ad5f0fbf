"""`herod resource …`: resources that services keep for tenants, opened by a secret."""

import json
from typing import Any, Final

import click

from herod.input_text import decode_text, parse_json
from herod_cli.click_base_classes import HerodGroup, WholeNumber
from herod_cli.commands.user import yes_option
from herod_cli.invocation_context import Invocation, pass_invocation
from herod_cli.shared.output import Column
from herod_cli.shared.secret_files import confirm, read_bounded, read_secret

__all__ = ["resource"]

COLUMNS: Final = (
    Column("SID", "sid", is_whole=True),
    Column("KIND", "kind"),
    Column("NAME", "name"),
    Column("ATTRIBUTES", "attributes", yields=True),
)

EMPTY: Final = "No unprotected resources of that kind: give --secret @FILE to list those of a secret."

secret_option = click.option(
    "--secret", metavar="@FILE|-", help="The secret that opens it, from FILE or standard input."
)
attribute_option = click.option(
    "--attribute", "pairs", multiple=True, metavar="NAME=VALUE", help="An attribute, as text; repeatable."
)
attributes_option = click.option(
    "--attributes", "path", metavar="@FILE", help="All attributes, as a JSON object in FILE."
)


@click.group(
    cls=HerodGroup,
    examples=[
        "herod resource claim vm web-1 --secret @tenant.secret",
        "herod resource list vm --secret @tenant.secret",
        "herod resource release SID",
    ],
)
def resource() -> None:
    """Resources that services keep for tenants, opened by a secret.

    Callers see only the resources that they claimed: use the service's key.
    """


@resource.command(
    examples=[
        "herod resource claim vm web-1 --secret @tenant.secret --attribute size=small",
        "herod resource claim vm web-1 --secret - --attributes @vm.json < tenant.secret",
        "herod resource claim disk scratch --unprotected",
    ]
)
@click.argument("kind")
@click.argument("name")
@secret_option
@click.option("--unprotected", is_flag=True, help="Require no secret: any opens it.")
@attribute_option
@attributes_option
@pass_invocation
def claim(
    invocation: Invocation,
    kind: str,
    name: str,
    secret: str | None,
    pairs: tuple[str, ...],
    path: str | None,
    *,
    unprotected: bool,
) -> None:
    """Claim a resource for the holder of a secret, and print its sid."""
    if (secret is None) != unprotected:
        raise click.UsageError("Give exactly one of --secret @FILE and --unprotected.")
    answer = invocation.call(
        "resources.claim", kind=kind, name=name, secret=_secret(secret), attributes=_attributes(pairs, path)
    )
    _show(invocation, answer)


@resource.command(
    "list",
    examples=["herod resource list vm --secret @tenant.secret", "herod resource list disk --output json"],
)
@click.argument("kind")
@secret_option
@click.option("--limit", type=WholeNumber(1), metavar="N", help="Stop after N.")
@pass_invocation
def list_(invocation: Invocation, kind: str, secret: str | None, limit: int | None) -> None:
    """List the resources of one kind that a secret owns, oldest first.

    Without a secret, list the unprotected ones.
    """
    items = invocation.items("resources.list", limit=limit, kind=kind, secret=_secret(secret))
    if not invocation.is_json:
        items = [{**item, "attributes": _compact(item.get("attributes"))} for item in items]
    invocation.show_items(
        items, COLUMNS, empty=EMPTY if secret is None else "This secret owns no resources of that kind."
    )


@resource.command(examples=["herod resource get SID --secret @tenant.secret"])
@click.argument("sid")
@secret_option
@pass_invocation
def get(invocation: Invocation, sid: str, secret: str | None) -> None:
    """Show a resource that the secret opens."""
    _show(invocation, invocation.call("resources.get", sid=sid, secret=_secret(secret)))


@resource.command(examples=["herod resource check SID --secret @tenant.secret"])
@click.argument("sid")
@secret_option
@pass_invocation
def check(invocation: Invocation, sid: str, secret: str | None) -> None:
    """Check whether the secret opens a resource: exit code 0 if it does, 1 if not."""
    answer = invocation.call("resources.check", sid=sid, secret=_secret(secret))
    invocation.done(answer, "The secret opens it.")


@resource.command(
    examples=[
        "herod resource update SID --secret @tenant.secret --name web-2",
        "herod resource update SID --secret @tenant.secret --attributes @vm.json",
    ]
)
@click.argument("sid")
@secret_option
@click.option("--name", metavar="TEXT", help="Display name.")
@attribute_option
@attributes_option
@pass_invocation
def update(
    invocation: Invocation, sid: str, secret: str | None, name: str | None, pairs: tuple[str, ...], path: str | None
) -> None:
    """Rename a resource, or replace its attributes.

    The attributes given replace all former ones.
    """
    attributes = _attributes(pairs, path)
    if name is None and attributes is None:
        raise click.UsageError("Nothing to change: give --name, --attribute or --attributes.")
    answer = invocation.call("resources.update", sid=sid, secret=_secret(secret), name=name, attributes=attributes)
    _show(invocation, answer)


@resource.command(examples=["herod resource release SID --secret @tenant.secret", "herod resource release SID --yes"])
@click.argument("sid")
@secret_option
@yes_option
@pass_invocation
def release(invocation: Invocation, sid: str, secret: str | None, *, yes: bool) -> None:
    """Release a resource; admins can release any, without its secret."""
    confirm(f"Release the resource {sid}?", yes=yes)
    answer = invocation.call("resources.release", sid=sid, secret=_secret(secret))
    invocation.done(answer, f"The resource {sid} is released.")


def _secret(text: str | None) -> str:
    return "" if text is None else read_secret(text, "secret", option="--secret")


def _attributes(pairs: tuple[str, ...], path: str | None) -> dict[str, Any] | None:
    """The attributes that were given, or None.

    Raises:
        UsageError: they are malformed.
    """
    if pairs and path is not None:
        raise click.UsageError("--attribute and --attributes are mutually exclusive: give one of them.")
    if path is not None:
        return _read_attributes(path.removeprefix("@"))
    if not pairs:
        return None
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"invalid attribute {pair!r}: write NAME=VALUE.", param_hint="'--attribute'")
        if name in found:
            raise click.BadParameter(f"{name!r} is given twice.", param_hint="'--attribute'")
        found[name] = value
    return found


def _read_attributes(path: str) -> dict[str, Any]:
    found = parse_json(decode_text(read_bounded(path), path), path)
    if not isinstance(found, dict):
        raise click.UsageError(f"{path} does not contain a JSON object.")
    return found


def _show(invocation: Invocation, answer: dict[str, Any]) -> None:
    if not invocation.is_json and "attributes" in answer:
        answer = {**answer, "attributes": _compact(answer["attributes"])}
    invocation.show(answer)


def _compact(attributes: object) -> str:
    """Attributes in one cell."""
    if not isinstance(attributes, dict):
        return "-"
    return " ".join(
        f"{name}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in attributes.items()
    )
