"""Fixtures for all tests. Nothing here reaches the network."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from governance.settings import Settings, load_settings
from governance.store import Store, open_store
from ingest.artefacts import Artefacts
from ingest.index_edge import EdgeEngine
from ingest.publish import IngestTools
from tests.fakes import WordEmbedder

SAMPLES = Path(__file__).parent.parent / "samples"


def skip_or_fail(reason: str) -> None:
    """Skip a test that cannot run here; where everything must run (CI), fail it instead."""
    if os.environ.get("PROVENANT_TEST_REQUIRE_ALL"):
        pytest.fail(f"this must run here: {reason}")
    pytest.skip(reason)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder that settings point at."""
    monkeypatch.setenv("PROVENANT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def settings(home: Path) -> Settings:
    """Settings of an empty home."""
    return load_settings()


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    """Open records of an empty home."""
    opened = open_store(settings)
    yield opened
    opened.close()


@pytest.fixture
def tools(settings: Settings, store: Store) -> IngestTools:
    """Everything an ingest works with: the real engine and store, a small deterministic embedder."""
    return IngestTools(
        store=store,
        engine=EdgeEngine(settings.home / "generations"),
        embedder=WordEmbedder(),
        artefacts=Artefacts(settings.home / "documents"),
        settings=settings,
        answering={"prompt": "test"},
    )


@pytest.fixture(scope="session")
def models_root() -> Path:
    """The folder of pulled models; tests that need it skip where `make setup` has not filled it."""
    root = load_settings().models
    for name in ("all-minilm-l6-v2", "smollm2-135m-instruct"):
        if not (root / name / "manifest.json").is_file():
            skip_or_fail(f"the model {name} is not in {root}: run `make setup`")
    return root
