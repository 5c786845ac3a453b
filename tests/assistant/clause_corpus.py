"""Three small agreements and two policies that disagree, as files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from assistant.service import AssistantService
from governance.settings import Settings
from governance.store import open_store
from ingest.artefacts import Artefacts
from ingest.index_edge import EdgeEngine
from ingest.pipeline import IngestRequest, run_ingest
from ingest.publish import IngestTools
from tests.assistant.conftest import ScriptedModels
from tests.fakes import ScriptedEngine, WordEmbedder

ACME = """# Supply Agreement Acme

This Agreement is made between Acme Ltd. ("Supplier") and Bolt Inc. ("Customer") on 8 May 2024.

## 1 Assignment

Neither party may assign this Agreement without the prior written consent of the other party.

## 2 Governing Law

This Agreement shall be governed by the laws of the State of Texas.

## 3 Payment

The Customer shall pay each invoice within thirty (30) days after receipt. Late amounts bear interest of 2% per month.
"""
BOREAL = """# Licence Agreement Boreal

## 1 Assignment

The Licensee may not assign this Agreement without the consent of the Licensor, except that the Licensee may assign it
to an affiliate without such consent.

## 2 Governing Law

This Agreement shall be governed by the laws of the State of Texas.
"""
CEDAR = """# Hosting Agreement Cedar

## 1 Governing Law

This Agreement shall be governed by the laws of England.

## 2 Support

Support is given by telephone on business days.
"""
RECORDS = """# Records policy

## Receipts

Receipts for travel must be kept for six (6) years by the traveller.

## Badges

Visitors may enter the archive without a badge.
"""
TRAVEL_RULES = """# Travel rules

## Keeping receipts

Receipts for travel must be kept for three years by the traveller.

## Archive

Visitors may not enter the archive without a badge.
"""


def write_agreements(root: Path) -> Path:
    """Write the agreements below a folder and return it."""
    root.mkdir(parents=True, exist_ok=True)
    for name, text in (("acme.md", ACME), ("boreal.md", BOREAL), ("cedar.md", CEDAR)):
        (root / name).write_text(text, encoding="utf-8")
    (root / "goods.csv").write_text("id,title,price_eur\nA1,Assignment of consent cable,5\n", encoding="utf-8")
    return root


def write_policies(root: Path) -> Path:
    """Write the policies below a folder and return it."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "records.md").write_text(RECORDS, encoding="utf-8")
    (root / "travel-rules.md").write_text(TRAVEL_RULES, encoding="utf-8")
    return root


def opened_service(settings: Settings, root: Path) -> Iterator[AssistantService]:
    """Yield a service over the agreements (collection a) and the policies (collection p), then close it."""
    store, engine = open_store(settings), EdgeEngine(settings.home / "generations")
    models = ScriptedModels(ScriptedEngine(""), WordEmbedder())
    made = AssistantService(settings, store, models=models, index_engine=engine)
    artefacts = Artefacts(settings.home / "documents")
    tools = IngestTools(store, engine, models.embedder, artefacts, settings, made.answering())
    run_ingest(IngestRequest((write_agreements(root / "agreements"),), "a"), tools)
    run_ingest(IngestRequest((write_policies(root / "policies"),), "p"), tools)
    yield made
    made.close()
