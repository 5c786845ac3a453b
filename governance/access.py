"""Access: who asks, and which labels they hold. Default deny.

A fresh home has one local owner, bound to the operating-system user, who reads everything and may act as others.
A Document without a label is readable by every known Principal; one with labels by holders of at least one of them.
"""

from __future__ import annotations

import getpass
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from governance.errors import BadInput, RefusedByPolicy
from governance.store import DocumentRecord, PrincipalRecord, VersionRecord

OWNER_ROLE = "owner"


@dataclass(frozen=True)
class Principal:
    """Somebody who asks, with the access labels they hold."""

    name: str
    role: str
    labels: tuple[str, ...]


def local_owner(session: Session) -> Principal:
    """Return the owner of this home, who holds every label there is; made on first use."""
    name = getpass.getuser()
    if session.get(PrincipalRecord, name) is None:
        session.add(PrincipalRecord(name=name, role=OWNER_ROLE, labels=[]))
    return Principal(name, OWNER_ROLE, all_labels(session))


def act_as(session: Session, name: str) -> Principal:
    """Return a known Principal. Raises RefusedByPolicy for a name that nobody has."""
    record = session.get(PrincipalRecord, name)
    if record is None:
        raise RefusedByPolicy(
            f"There is no user {name!r}, and the unknown may read nothing. `provenant users add` makes one."
        )
    labels = all_labels(session) if record.role == OWNER_ROLE else tuple(record.labels)
    return Principal(record.name, record.role, labels)


def add_principal(session: Session, name: str, *, labels: tuple[str, ...], role: str = "agent") -> Principal:
    """Make a Principal, or set the labels of one. Raises BadInput for an empty name."""
    if not name.strip():
        raise BadInput("A user needs a name.")
    record = session.get(PrincipalRecord, name) or PrincipalRecord(name=name, role=role, labels=[])
    record.labels, record.role = list(labels), role
    session.add(record)
    return Principal(name, role, labels)


def list_principals(session: Session) -> list[Principal]:
    """Return all Principals by name."""
    records = session.scalars(select(PrincipalRecord).order_by(PrincipalRecord.name))
    return [Principal(record.name, record.role, tuple(record.labels)) for record in records]


def all_labels(session: Session) -> tuple[str, ...]:
    """Return every label that some version of a document carries."""
    query = select(VersionRecord.labels).join(DocumentRecord, DocumentRecord.id == VersionRecord.document_id)
    return tuple(sorted({label for labels in session.scalars(query) for label in labels}))
