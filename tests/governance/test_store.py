"""The records: migrations, SQLite and PostgreSQL, errors as sentences."""

from __future__ import annotations

import os
import re
from datetime import UTC
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from pydantic import TypeAdapter
from sqlalchemy import text

from governance.access import act_as, add_principal, all_labels, local_owner
from governance.errors import BadInput, Busy, NotFound, ProvenantError, RefusedByPolicy
from governance.release import (
    CollectionState,
    ReleaseManifest,
    find_release,
    keep_release,
    live_release,
    switch_channel,
)
from governance.settings import Settings, StoreSettings, describe_settings, load_settings
from governance.store import Record, Store, now, open_store
from governance.trace import DecisionTrace, find_trace, keep_trace, new_trace_id, search_traces
from tests.conftest import skip_or_fail


@pytest.fixture(params=["sqlite", "postgresql"])
def any_store(request: pytest.FixtureRequest, settings: Settings) -> Store:
    if request.param == "sqlite":
        return open_store(settings)
    url = os.environ.get("PROVENANT_TEST_POSTGRES_URL", "")
    if not url:
        skip_or_fail("no PostgreSQL: set PROVENANT_TEST_POSTGRES_URL")
    opened = open_store(settings.model_copy(update={"store": StoreSettings(url=url)}))
    with opened.engine.begin() as connection:
        for table in reversed(Record.metadata.sorted_tables):
            connection.execute(table.delete())
    return opened


def test_migrations_give_exactly_the_tables_of_the_code(any_store: Store) -> None:
    ours = set(Record.metadata.tables)

    def is_ours(_: object, name: str | None, kind: str, __: bool, ___: object) -> bool:
        return kind != "table" or name in ours

    with any_store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": is_ours})
        assert compare_metadata(context, Record.metadata) == []
    any_store.close()


def test_trace_comes_back_equal(any_store: Store) -> None:
    trace = DecisionTrace(
        new_trace_id(), now(), "c", "ann", "talk", "r-1", "Wie groß? 100 %", False, {"scores": [0.1, 2], "x": None}
    )
    with any_store.session() as session:
        keep_trace(session, trace)
    with any_store.session() as session:
        assert find_trace(session, trace.id) == trace
        assert find_trace(session, trace.id).created_at.tzinfo is UTC or trace.created_at.utcoffset() is not None
        assert search_traces(session, words="100 %") == [trace]
        assert search_traces(session, words="nothing like it") == []
        assert search_traces(session, conversation="talk") == [trace]
        with pytest.raises(NotFound, match="t-none"):
            find_trace(session, "t-none")
    any_store.close()


def test_release_is_named_by_its_content(any_store: Store) -> None:
    one = ReleaseManifest({"c": CollectionState("sha256:1", "c-1")}, {"prompt": "p"})
    same = ReleaseManifest({"c": CollectionState("sha256:1", "c-1")}, {"prompt": "p"})
    other = one.with_answering({"prompt": "q"})
    assert one.id == same.id
    assert one.id != other.id
    with any_store.session() as session:
        assert live_release(session) is None
        assert keep_release(session, one) == keep_release(session, same)
        keep_release(session, other)
        switch_channel(session, one.id)
        switch_channel(session, other.id)
    with any_store.session() as session:
        assert live_release(session) == other
        assert find_release(session, one.id) == one
        with pytest.raises(NotFound, match="r-none"):
            find_release(session, "r-none")
    any_store.close()


def test_unknown_users_may_read_nothing(any_store: Store) -> None:
    with any_store.session() as session:
        owner = local_owner(session)
        add_principal(session, "ann", labels=("hr",))
    with any_store.session() as session:
        assert act_as(session, "ann").labels == ("hr",)
        assert act_as(session, owner.name).role == "owner"
        assert all_labels(session) == ()
        with pytest.raises(RefusedByPolicy, match="nobody"):
            act_as(session, "nobody")
        with pytest.raises(BadInput):
            add_principal(session, " ", labels=())
    any_store.close()


def test_an_older_store_is_brought_forward(settings: Settings) -> None:
    opened = open_store(settings)
    with opened.engine.begin() as connection:
        for table in Record.metadata.sorted_tables[::-1]:
            connection.execute(text(f"DROP TABLE {table.name}"))
        connection.execute(text("DROP TABLE alembic_version"))
    opened.close()
    again = open_store(settings)
    with again.session() as session:
        assert live_release(session) is None
    again.close()


def test_an_error_rolls_everything_back(store: Store) -> None:
    def fail_halfway() -> None:
        with store.session() as session:
            add_principal(session, "ann", labels=())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    with store.session() as session, pytest.raises(RefusedByPolicy):
        act_as(session, "ann")


def test_unreachable_database_is_named(settings: Settings) -> None:
    url = "postgresql+psycopg://nobody@127.0.0.1:9/none"
    with pytest.raises(ProvenantError, match=r"127\.0\.0\.1:9"):
        open_store(settings.model_copy(update={"store": StoreSettings(url=url)}))


def test_locked_database_says_that_a_retry_helps(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("governance.store._SQLITE_WAIT_SECONDS", 0.05)
    first, second = open_store(settings), open_store(settings)
    with first.session() as session:
        add_principal(session, "ann", labels=())
        session.flush()
        with pytest.raises(Busy, match="locked"), second.session() as other:
            add_principal(other, "bob", labels=())
    first.close()
    second.close()


def test_unknown_settings_are_errors(home: object, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    settings.home.mkdir(parents=True)
    (settings.home / "provenant.toml").write_text("[index]\nurll = 'x'\n")
    with pytest.raises(BadInput, match=r"index\.urll"):
        load_settings()
    (settings.home / "provenant.toml").write_text("[index]\nkeep_generations = 5\n")
    assert load_settings().index.keep_generations == 5
    monkeypatch.setenv("PROVENANT_INDEX__KEEP_GENERATIONS", "7")
    assert load_settings().index.keep_generations == 7


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[server]\ntoken = 'x'\n", "secret server.token"),
        ("[index\n", "not valid TOML"),
        ("[index]\nurl = 3\n", "index.url"),
    ],
)
def test_settings_file_with_a_secret_or_an_error_is_refused(settings: Settings, text: str, sentence: str) -> None:
    settings.home.mkdir(parents=True)
    (settings.home / "provenant.toml").write_text(text)
    with pytest.raises(BadInput, match=re.escape(sentence)):
        load_settings()


def test_settings_digest_ignores_paths_and_secrets(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVENANT_SERVER__TOKEN", "sesame")
    changed = load_settings()
    assert changed.digest() == settings.digest()
    assert "sesame" not in str(TypeAdapter(Settings).dump_json(changed))


def test_settings_page_is_what_the_code_says() -> None:
    page = Path(__file__).parents[2] / "docs" / "settings.md"
    assert page.read_text(encoding="utf-8") == describe_settings()
