"""An assistant over a small corpus: real engine and records, scripted models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from assistant.generation import ModelIdentity
from assistant.reader import Reader
from assistant.service import AssistantService
from governance.access import Principal
from governance.settings import Settings
from governance.store import Store
from ingest.pipeline import IngestRequest, run_ingest
from ingest.publish import IngestTools
from tests.fakes import ScriptedEngine, WordEmbedder

OWNER = Principal("owner", "owner", ("hr",))
TRAVEL = """# Travel policy

## Lodging

Hotel rooms cost at most 120 dollars a night. Receipts must be kept for six (6) years.

## Air

The supervisor may not approve first-class travel.
"""


@dataclass
class ScriptedModels:
    """Models whose words a test decides."""

    engine: ScriptedEngine
    embedder: WordEmbedder
    reader: Reader | None = None

    @property
    def identity(self) -> ModelIdentity:
        return self.engine.identity


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    root = tmp_path / "corpus"
    (root / "hr").mkdir(parents=True)
    (root / "travel.md").write_text(TRAVEL)
    (root / "goods.csv").write_text("id,title,price_eur\nA1,USB cable black,5\nA2,Network hub,20\n")
    return root


@pytest.fixture
def models() -> ScriptedModels:
    return ScriptedModels(ScriptedEngine("Hotel rooms cost at most 120 dollars a night."), WordEmbedder())


@pytest.fixture
def service(
    settings: Settings, store: Store, models: ScriptedModels, tools: IngestTools, corpus: Path
) -> Iterator[AssistantService]:
    made = AssistantService(settings, store, models=models, index_engine=tools.engine)
    run_ingest(IngestRequest((corpus,), "c"), replace(tools, answering=made.answering()))
    yield made
    made.close()
