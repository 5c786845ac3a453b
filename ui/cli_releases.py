"""Commands on releases and users."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ui.cli_corpus import AsJson
from ui.terminal import print_json, print_line

release = typer.Typer(help="Releases: list, show, diff.", no_args_is_help=True)
users = typer.Typer(help="Who may ask, and their access labels: list, add.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(release, name="release")
    app.add_typer(users, name="users")


@release.command("list")
def list_releases(as_json: AsJson = False) -> None:
    """List the releases, the live one marked."""
    from sqlalchemy import select

    from governance.release import live_release
    from governance.store import ReleaseRecord
    from ui.installation import Installation

    with Installation().store.session() as session:
        live = live_release(session)
        records = session.scalars(select(ReleaseRecord).order_by(ReleaseRecord.created_at)).all()
    rows: list[dict[str, Any]] = [
        {
            "release_id": record.id,
            "created_at": record.created_at.isoformat(timespec="seconds"),
            "live": live is not None and record.id == live.id,
            "collections": {name: state["generation"] for name, state in record.manifest["collections"].items()},
        }
        for record in records
    ]
    if as_json:
        print_json({"releases": rows})
        return
    for row in rows:
        mark = "*" if row["live"] else " "
        print_line(f"{mark} {row['release_id']}  {row['created_at']}  {', '.join(row['collections'])}")


@release.command("show")
def show_release(
    release_id: Annotated[str, typer.Argument(help="Default: the live release.")] = "", as_json: AsJson = False
) -> None:
    """Show what a release is made of, by digest."""
    from ui.installation import Installation

    manifest = Installation().service.release(release_id)
    value = {"release_id": manifest.id, "digest": manifest.digest, **manifest.to_value()}
    if as_json:
        print_json(value)
        return
    for line in _lines(value, ""):
        print_line(line)


@release.command("diff")
def diff_releases(one: str, other: str, as_json: AsJson = False) -> None:
    """Show what differs between two releases."""
    from governance.release import find_release
    from ui.installation import Installation

    with Installation().store.session() as session:
        values = [dict(_flat(find_release(session, name).to_value(), "")) for name in (one, other)]
    names = sorted({*values[0], *values[1]})
    rows = [
        {"field": name, one: values[0].get(name), other: values[1].get(name)}
        for name in names
        if values[0].get(name) != values[1].get(name)
    ]
    if as_json:
        print_json({"differences": rows})
        return
    for row in rows:
        print_line(f"{row['field']}: {row[one]} -> {row[other]}")


@users.command("list")
def list_users(as_json: AsJson = False) -> None:
    """List the users and their labels."""
    from governance.access import list_principals, local_owner
    from ui.installation import Installation

    with Installation().store.session() as session:
        local_owner(session)
        session.flush()
        found = list_principals(session)
    if as_json:
        print_json({"users": [{"name": one.name, "role": one.role, "labels": list(one.labels)} for one in found]})
        return
    for one in found:
        labels = "every label" if one.role == "owner" else ", ".join(one.labels) or "no labels"
        print_line(f"{one.name}  {one.role}  {labels}")


@users.command("add")
def add_user(
    name: str,
    label: Annotated[list[str] | None, typer.Option(help="An access label they hold.")] = None,
    as_json: AsJson = False,
) -> None:
    """Add a user, or set the labels of one."""
    from governance.access import add_principal
    from ui.installation import Installation

    with Installation().store.session() as session:
        added = add_principal(session, name, labels=tuple(label or ()))
    if as_json:
        print_json({"name": added.name, "role": added.role, "labels": list(added.labels)})
    else:
        also = f" and those labelled {', '.join(added.labels)}" if added.labels else ""
        print_line(f"{added.name} may read documents without a label{also}")


def _lines(value: dict[str, Any], indent: str) -> list[str]:
    lines: list[str] = []
    for name, item in value.items():
        if isinstance(item, dict):
            lines += [f"{indent}{name}:", *_lines(item, indent + "  ")]
        else:
            lines.append(f"{indent}{name}: {item if item is not None else '-'}")
    return lines


def _flat(value: dict[str, Any], prefix: str) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for name, item in value.items():
        pairs += _flat(item, f"{prefix}{name}.") if isinstance(item, dict) else [(f"{prefix}{name}", item)]
    return pairs
