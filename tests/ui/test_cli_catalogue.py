"""Catalogue commands: the feed of changes and the graph, for people and as one JSON object."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from governance.errors import BadInput, NotFound
from ingest.pipeline import IngestRequest, run_ingest
from ingest.publish import IngestTools
from ui.cli import app

FIRST = "id,title,supplier,price_eur,compatibility\n1,HP Jet P1505 printer,HP,99,\n2,Toner T1,Acme,20,HP Jet P1505\n"


@pytest.fixture
def home_with_changes(tools: IngestTools, tmp_path: Path) -> None:
    source = tmp_path / "goods.csv"
    for text in (FIRST, FIRST.replace(",20,", ",22,") + "3,Hub,Best,5,\n"):
        source.write_text(text)
        run_ingest(IngestRequest((source,), "c"), tools)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.usefixtures("home_with_changes")
def test_changes_are_listed_with_old_and_new() -> None:
    told = run("catalogue", "changes", "-c", "c")
    assert "1 new, 1 prices changed" in told
    assert "price: 2 Toner T1: price_eur 20 -> 22" in told
    assert "new: 3 Hub" in told
    assert "+ 3 brand Best, stated by its supplier" in told
    (ingest,) = json.loads(run("catalogue", "changes", "-c", "c", "--json"))["ingests"]
    assert ingest["counts"]["price"] == 1
    assert ingest["records"][0] == {
        "kind": "price",
        "record": "2",
        "title": "Toner T1",
        "attribute": "price_eur",
        "before": 20.0,
        "after": 22.0,
    }
    assert run("catalogue", "changes", "-c", "c", "--since", "2999-01-01").startswith("No catalogue changed")
    assert run("catalogue", "changes", "-c", "c", "--document", "other.csv").startswith("No catalogue changed")


@pytest.mark.usefixtures("home_with_changes")
def test_the_graph_of_a_record_shows_both_directions() -> None:
    assert "2 compatible HP Jet P1505 (1), stated by its compatibility" in run("catalogue", "graph", "1", "-c", "c")
    edges = json.loads(run("catalogue", "graph", "2", "-c", "c", "--json"))["edges"]
    assert {(edge["kind"], edge["target_record"]) for edge in edges} == {("brand", ""), ("compatible", "1")}


@pytest.mark.usefixtures("home_with_changes")
def test_what_is_not_there_is_said() -> None:
    with pytest.raises(NotFound, match="no collection 'x'"):
        run("catalogue", "changes", "-c", "x")
    with pytest.raises(NotFound, match="has a record '9'"):
        run("catalogue", "graph", "9", "-c", "c")
    with pytest.raises(BadInput, match="not a date"):
        run("catalogue", "changes", "-c", "c", "--since", "soon")
