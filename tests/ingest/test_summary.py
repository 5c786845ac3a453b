"""The summary of a Generation: kept, read back, refused when damaged; names point at documents."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import pytest

from governance.errors import Damaged
from ingest.document_names import gather_names
from ingest.product_facts import ProductFacts
from ingest.summary import Summary, keep_summary, read_summary
from ingest.vocabulary import count_words


@dataclass(frozen=True)
class Opening:
    """A chunk as far as names read it."""

    document: str
    text: str
    title: str = ""
    kind: str = "clause"
    start: int = 0


NAMES = gather_names(
    [
        Opening("contracts/AcmeWidgets-NDA.txt", "This agreement is made between Acme Widgets Ltd and Bolt GmbH."),
        Opening("contracts/nda-2.txt", "This agreement is made between Crate Inc and Dynamo SA.", title="NDA"),
        Opening("shop.csv", "Acme hammer", kind="record"),
    ]
)


def test_a_summary_is_read_back_as_it_was_kept(tmp_path: Path) -> None:
    summary = Summary(count_words(["a hammer", "two hammers"]), NAMES, ProductFacts(records=2, makers={"acme": 2}))
    keep_summary(tmp_path / "summaries" / "g.json.gz", summary)
    found = read_summary(tmp_path / "summaries" / "g.json.gz")
    assert found.names.score("Acme's NDA", names=["Acme's"]) == NAMES.score("Acme's NDA", names=["Acme's"])
    assert found.vocabulary == summary.vocabulary
    assert found.products == summary.products


@pytest.mark.parametrize("data", [b"\x1f\x8b broken", b"plain", gzip.compress(b'{"names": {}, "surprise": 1}')])
def test_a_damaged_summary_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "g.json.gz"
    path.write_bytes(data)
    with pytest.raises(Damaged):
        read_summary(path)


@pytest.mark.parametrize(
    ("question", "names", "first"),
    [
        ("Who signed Acme's agreement?", ["Acme's"], "contracts/AcmeWidgets-NDA.txt"),
        ("In the agreement with Dynamo, who pays?", ["Dynamo"], "contracts/nda-2.txt"),
    ],
)
def test_a_party_in_the_question_points_at_its_contract(question: str, names: list[str], first: str) -> None:
    assert next(iter(NAMES.score(question, names=names))) == first


def test_catalogues_have_no_name_and_unknown_words_point_nowhere() -> None:
    assert "shop.csv" not in NAMES.names
    assert NAMES.score("hammer", names=[]) == {}
