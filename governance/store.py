"""The records: what documents, versions, index generations, releases, traces and jobs there are.

SQLite (write-ahead log) in the home folder by default, PostgreSQL by URL. The tables hold names, kinds, dates and
digests; texts, vectors and weights live in files that a digest names. The schema only changes through a migration
(`governance/migrations`), and a store that is older than the code is brought forward when it is opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Date, DateTime, Engine, ForeignKey, String, UniqueConstraint, create_engine, event, text
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.types import TypeDecorator

from governance.errors import Busy, ProvenantError
from governance.settings import Settings

SCHEMA_REVISION = "0004"
LIVE = "live"
_SQLITE_WAIT_SECONDS = 30.0


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time, stored in UTC and always read back with its zone (SQLite drops it)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: object) -> datetime | None:  # noqa: ARG002
        """Put the zone back where the database dropped it."""
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


class Record(DeclarativeBase):
    """Base of all tables."""

    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: JSON, list[str]: JSON}  # noqa: RUF012


class DocumentRecord(Record):
    """A logical name in a collection; its texts are its versions."""

    __tablename__ = "documents"
    __table_args__ = (UniqueConstraint("collection", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    collection: Mapped[str] = mapped_column(String(200), index=True)
    name: Mapped[str] = mapped_column(String(1000))
    source_root: Mapped[str] = mapped_column(String(2000))


class VersionRecord(Record):
    """One immutable text under a logical name, and for which dates it is in force."""

    __tablename__ = "versions"
    __table_args__ = (UniqueConstraint("document_id", "digest"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    document_id: Mapped[int] = mapped_column(ForeignKey("documents.id"), index=True)
    digest: Mapped[str] = mapped_column(String(80), index=True)
    parser: Mapped[str] = mapped_column(String(80))
    title: Mapped[str] = mapped_column(String(2000))
    media_type: Mapped[str] = mapped_column(String(100))
    labels: Mapped[list[str]]
    status: Mapped[str] = mapped_column(String(20), index=True)
    effective_from: Mapped[date] = mapped_column(Date)
    effective_to: Mapped[date | None] = mapped_column(Date)
    pages: Mapped[int]
    characters: Mapped[int]
    chunks: Mapped[int]
    warnings: Mapped[list[str]]
    added_at: Mapped[datetime]
    moved_to: Mapped[str] = mapped_column(String(1000), default="")  # the document's later name, "" where it stayed


class IndexedTextRecord(Record):
    """That a document's text stood in a collection's index, from when until when (None: it still does)."""

    __tablename__ = "indexed_texts"

    id: Mapped[int] = mapped_column(primary_key=True)
    collection: Mapped[str] = mapped_column(String(200), index=True)
    document: Mapped[str] = mapped_column(String(1000))
    digest: Mapped[str] = mapped_column(String(80), index=True)
    since: Mapped[datetime]
    until: Mapped[datetime | None]


class GenerationRecord(Record):
    """One immutable build of a collection's index."""

    __tablename__ = "generations"

    id: Mapped[str] = mapped_column(String(80), primary_key=True)
    collection: Mapped[str] = mapped_column(String(200), index=True)
    snapshot: Mapped[str] = mapped_column(String(80))
    embedder: Mapped[str] = mapped_column(String(80))
    points: Mapped[int]
    documents: Mapped[int]
    created_at: Mapped[datetime]


class ReleaseRecord(Record):
    """A manifest by digest: everything that decides what the assistant says."""

    __tablename__ = "releases"

    id: Mapped[str] = mapped_column(String(80), primary_key=True)
    manifest: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class ChannelRecord(Record):
    """A pointer to a release; `live` is the one that answers."""

    __tablename__ = "channels"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    release_id: Mapped[str] = mapped_column(ForeignKey("releases.id"))
    switched_at: Mapped[datetime]


class PrincipalRecord(Record):
    """Somebody who may ask, and the access labels they hold."""

    __tablename__ = "principals"

    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    role: Mapped[str] = mapped_column(String(40))
    labels: Mapped[list[str]]


class TraceRecord(Record):
    """A DecisionTrace; the columns beside `body` are there to search by."""

    __tablename__ = "traces"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(index=True)
    collection: Mapped[str] = mapped_column(String(200), index=True)
    principal: Mapped[str] = mapped_column(String(200))
    conversation: Mapped[str] = mapped_column(String(80), index=True)
    release_id: Mapped[str] = mapped_column(String(80))
    question: Mapped[str]
    abstained: Mapped[bool]
    body: Mapped[dict[str, Any]]


class JobRecord(Record):
    """A piece of work for the worker, with its progress."""

    __tablename__ = "jobs"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    parameters: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(String(20), index=True)
    progress: Mapped[float]
    message: Mapped[str]
    result: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(index=True)
    updated_at: Mapped[datetime]
    source: Mapped[str] = mapped_column(String(40), index=True, default="")  # "" for work of no stored source
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class SourceRecord(Record):
    """A folder that is ingested again and again. The row is also what queueing its job is serialised on.

    `schedule` is "", "watch", "every SECONDS" or "at HH:MM"; `seen` the state of the folder that was last read.
    """

    __tablename__ = "sources"
    __table_args__ = (UniqueConstraint("collection", "path"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    collection: Mapped[str] = mapped_column(String(200), index=True)
    path: Mapped[str] = mapped_column(String(2000))
    kind: Mapped[str] = mapped_column(String(20))
    labels: Mapped[list[str]]
    schedule: Mapped[str] = mapped_column(String(40))
    seen: Mapped[str] = mapped_column(String(80))
    problem: Mapped[str]
    created_at: Mapped[datetime]
    queued_at: Mapped[datetime | None]


class VersionChangeRecord(Record):
    """One reading of a document that took the place of another, by Digest and parser; `after` is "" where it went."""

    __tablename__ = "version_changes"

    id: Mapped[int] = mapped_column(primary_key=True)
    collection: Mapped[str] = mapped_column(String(200), index=True)
    document: Mapped[str] = mapped_column(String(1000))
    before: Mapped[str] = mapped_column(String(80))
    before_parser: Mapped[str] = mapped_column(String(80))
    after: Mapped[str] = mapped_column(String(80))
    after_parser: Mapped[str] = mapped_column(String(80))
    at: Mapped[datetime] = mapped_column(index=True)


class Store:
    """The open store. Sessions come from `session()` and commit when their block ends without an error."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Yield a session; commit at the end, roll back on any error. Raises Busy where SQLite stays locked."""
        try:
            with Session(self.engine, expire_on_commit=False) as session, session.begin():
                yield session
        except OperationalError as error:
            if "locked" in str(error.orig):
                raise Busy("The records are locked by another command for too long. Try again.") from error
            if "disk is full" in str(error.orig):
                raise ProvenantError(
                    "The disk is full: the records could not be written. Free space, try again."
                ) from error
            raise ProvenantError(f"The records could not be read or written: {error.orig}.") from error

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()


def open_store(settings: Settings) -> Store:
    """Open the store of an installation and bring its schema up to date. Raises ProvenantError where it cannot."""
    url = settings.store.url or f"sqlite:///{settings.home / 'records.sqlite'}"
    if not settings.store.url:
        settings.home.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": _SQLITE_WAIT_SECONDS} if url.startswith("sqlite") else {})
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
    try:
        _bring_forward(engine, settings.home)
    except OperationalError as error:
        raise ProvenantError(f"The records at {engine.url!r} cannot be opened: {error.orig}.") from error
    return Store(engine)


def now() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)


def _set_up_sqlite(connection: Any, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _bring_forward(engine: Engine, home: Path) -> None:
    if _schema_revision(engine) == SCHEMA_REVISION:
        return
    from alembic import command
    from alembic.config import Config
    from filelock import FileLock

    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home / "migration.lock"), engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _schema_revision(engine: Engine) -> str | None:
    try:
        with engine.connect() as connection:
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except (OperationalError, ProgrammingError) as error:
        if "alembic_version" in str(error.orig):
            return None
        raise
