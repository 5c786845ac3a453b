"""Comparison, standard clauses, obligations and conflicts on the real engine, over HTTP and as files."""

from __future__ import annotations

import csv
import io
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from assistant.api import add_error_answers
from assistant.clause_api import make_clause_router
from assistant.clause_export import EVIDENCE, ClauseWork, export, rows_of, to_csv, to_pdf
from assistant.clause_requests import ClauseBody, do_clause_work
from assistant.client import ServerClient
from assistant.obligations import defined_terms, find_obligations
from assistant.service import AssistantService
from assistant.standard_clauses import load_standard
from governance.errors import BadInput, NotFound
from governance.settings import load_settings
from tests.assistant.clause_corpus import ACME, opened_service

STANDARD = """
[[clause]]
name = "Assignment"
topic = "Anti-Assignment"
text = "Neither party may assign this Agreement without the prior written consent of the other party."

[[clause]]
name = "Law"
topic = "Governing Law"
text = "This Agreement shall be governed by the laws of the State of Texas."

[[clause]]
name = "Insurance"
topic = "Insurance"
text = "Each party shall maintain insurance."
required = false
"""


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AssistantService]:
    """One service for all tests here: none of them writes."""
    root = tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROVENANT_HOME", str(root / "home"))
        yield from opened_service(load_settings(), root)


def do(service: AssistantService, kind: ClauseWork, **values: Any) -> dict[str, Any]:
    return do_clause_work(service, kind, ClauseBody(**{"collection": "a", **values}))


def test_comparison_has_a_row_for_each_document_and_names_what_differs(work: AssistantService) -> None:
    value = do(work, "compare", topic="Governing Law")
    assert [row["terms"]["law"] for row in value["rows"]] == [["Texas"], ["Texas"], ["England"]]
    assert value["majority"] == {"law": ["Texas"]}
    assert [row["differs"] for row in value["rows"]] == [[], [], ["law: England (most: Texas)"]]
    assignment = do(work, "compare", topic="Anti-Assignment")
    assert assignment["rows"][2]["differs"] == ["no such clause"]
    assert "2 of 3 have such a clause" in assignment["statement"]


def test_two_named_documents_are_compared_by_words(work: AssistantService) -> None:
    value = do(work, "compare", topic="Governing Law", documents=["acme.md", "cedar.md"])
    gone = [part["text"] for part in value["difference"] if part["change"] == "removed"]
    assert any("Texas" in text for text in gone)
    with pytest.raises(NotFound, match=r"No clause of 'none.md' is in scope"):
        do(work, "compare", topic="Governing Law", documents=["none.md"])


def test_standard_clauses_are_present_deviating_or_missing(work: AssistantService) -> None:
    value = do(work, "standard", standard=STANDARD)
    status = {(row["document"], row["standard"]): row["status"] for row in value["rows"]}
    assert status["acme.md", "Assignment"] == "present"
    assert status["boreal.md", "Assignment"] == "deviates"
    assert status["cedar.md", "Assignment"] == "missing"
    assert status["acme.md", "Insurance"] == "missing"
    law = next(row for row in value["rows"] if (row["document"], row["standard"]) == ("cedar.md", "Law"))
    assert law["changes"] == [{"kind": "law", "standard": ["Texas"], "contract": ["England"]}]
    assert law["deviates_in"] == "terms"
    assert value["counts"]["missing"] == 4


def test_the_packaged_standard_library_is_whole_and_a_damaged_one_is_refused() -> None:
    assert len(load_standard()) >= 15
    with pytest.raises(BadInput, match="needs name, topic and text"):
        load_standard("[[clause]]\nname = 'x'")
    with pytest.raises(BadInput, match="needs name, topic and text"):
        load_standard("[[clause]\n")


def test_obligations_name_party_duty_and_day(work: AssistantService) -> None:
    value = do(work, "obligations", documents=["acme.md"], dated=True)
    rows = {row["duty"]: row for row in value["rows"]}
    pays = rows["must"]
    assert (pays["party"], pays["action"].split()[0]) == ("Customer", "pay")
    assert pays["when"] == [{"kind": "deadline", "value": "30 days", "text": "within thirty (30) days after receipt"}]
    assert rows["states"]["when"][0]["value"] == "2024-05-08"
    text = work.texts.parsed("acme.md", pays["version"]).text
    assert text[pays["char_start"] : pays["char_end"]] == pays["quote"]
    assert {row["party"] for row in do(work, "obligations", party="customer")["rows"]} == {"Customer"}


@pytest.mark.parametrize(
    ("text", "duty", "who", "kind"),
    [
        ("Either party may terminate upon 60 days' prior written notice.", "may", "Either party", "notice"),
        ("Neither party may assign this Agreement.", "must not", "Neither party", None),
        ("5.6 The Customer shall provide results.", "must", "The Customer", None),
        ("Upon termination, the Customer shall not use the Marks.", "must not", "the Customer", None),
        ("Receipts must be kept for six (6) years.", "must", "Receipts", "duration"),
        ("The Customer agrees to pay by 31 December 2026.", "must", "The Customer", "deadline"),
        ("This Agreement is made on May 8, 2014.", "states", "", "start"),
    ],
)
def test_a_sentence_is_read_as_an_obligation(text: str, duty: str, who: str, kind: str | None) -> None:
    found = find_obligations(text, ["Customer"])[0]
    assert (found.duty, found.who) == (duty, who)
    assert [when.kind for when in found.when] == ([kind] if kind else [])


def test_a_sentence_without_duty_or_date_is_none() -> None:
    assert find_obligations("Support is given by telephone.") == []
    assert defined_terms(ACME) == ["Customer", "Supplier"]


def test_conflicts_are_terms_and_duties_at_odds(work: AssistantService) -> None:
    value = do(work, "conflicts", collection="p")
    assert {row["about"]: (row["first"]["values"], row["second"]["values"]) for row in value["rows"]} == {
        "period in year": (["6 years"], ["3 years"]),
        "duty": (["permits"], ["prohibits"]),
    }
    assert "2 possible conflicts" in value["statement"]
    assert do(work, "conflicts")["count"] == 0
    with pytest.raises(BadInput, match="at least two"):
        do(work, "conflicts", collection="p", documents=["records.md"])


WORK: list[tuple[ClauseWork, dict[str, Any]]] = [
    ("find", {"text": "allows assignment without consent"}),
    ("compare", {"topic": "Governing Law"}),
    ("standard", {"standard": STANDARD}),
    ("obligations", {}),
    ("conflicts", {"collection": "p"}),
]


@pytest.mark.parametrize(("kind", "values"), WORK)
def test_every_work_exports_with_evidence(
    work: AssistantService, kind: ClauseWork, values: dict[str, Any], tmp_path: Path
) -> None:
    value = do(work, kind, **values)
    for ending in ("csv", "json", "pdf"):
        export(kind, value, tmp_path / f"out.{ending}")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text(encoding="utf-8-sig"))))
    assert len(rows) == len(rows_of(kind, value)) > 0
    assert set(EVIDENCE) <= set(rows[0])
    quoted = next(row for row in rows if row["quote"])
    text = work.texts.parsed(quoted["document"], quoted["version"]).text
    assert " ".join(text[int(quoted["char_start"]) : int(quoted["char_end"])].split()) == quoted["quote"]
    assert json.loads((tmp_path / "out.json").read_text(encoding="utf-8")) == {"work": kind, **value}
    pdf = pypdfium2.PdfDocument((tmp_path / "out.pdf").read_bytes())
    printed = " ".join(page.get_textpage().get_text_bounded() for page in pdf)
    pdf.close()
    assert quoted["version"][:20] in printed
    assert not list(tmp_path.glob("*.part"))


def test_exports_are_deterministic_and_odd_signs_do_not_stop_them(work: AssistantService) -> None:
    value = do(work, "find", topic="Governing Law")
    assert to_pdf("find", value) == to_pdf("find", value)
    value["matches"][0]["evidence"][0]["quote"] = "<b>&amp; 法律 \x01 & “law”"
    assert to_pdf("find", value).startswith(b"%PDF")


def test_a_cell_that_looks_like_a_formula_is_disarmed(work: AssistantService) -> None:
    value = do(work, "find", topic="Governing Law")
    value["matches"][0]["evidence"][0]["quote"] = '=HYPERLINK("x")'
    rows = list(csv.DictReader(io.StringIO(to_csv("find", value).decode("utf-8-sig"))))
    assert rows[0]["quote"] == '\'=HYPERLINK("x")'


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"end the name in .csv, .json or .pdf"):
        export("find", {}, tmp_path / "out.docx")


def test_search_needs_a_text_or_a_topic(work: AssistantService) -> None:
    for values in ({}, {"text": "x", "topic": "Insurance"}):
        with pytest.raises(BadInput, match="either a text or a topic"):
            do(work, "find", **values)


@pytest.fixture
def client(work: AssistantService) -> Iterator[TestClient]:
    application = FastAPI()
    add_error_answers(application)
    application.include_router(make_clause_router(work))
    with TestClient(application, raise_server_exceptions=False) as opened:
        yield opened


@pytest.mark.parametrize(("kind", "values"), WORK)
def test_the_api_gives_what_the_command_gives(
    client: TestClient, work: AssistantService, kind: ClauseWork, values: dict[str, Any]
) -> None:
    response = client.post(f"/api/clauses/{kind}", json={"collection": "a", **values})
    assert response.status_code == 200, response.text
    assert response.json() == json.loads(json.dumps(do(work, kind, **values)))


def test_the_api_names_topics_and_errors(client: TestClient) -> None:
    assert len(client.get("/api/clauses/topics").json()["topics"]) >= 53
    assert client.post("/api/clauses/find", json={"collection": "none", "topic": "Insurance"}).status_code == 404
    assert client.post("/api/clauses/find", json={"collection": "a", "topic": "zebra"}).status_code == 404
    assert client.post("/api/clauses/dance", json={"collection": "a"}).status_code == 422
    refused = client.post("/api/clauses/find", json={"collection": "a", "text": "x", "principal": "nobody"})
    assert (refused.status_code, "no user 'nobody'" in refused.json()["error"]) == (403, True)


def test_a_running_server_is_asked_and_its_errors_are_ours(work: AssistantService) -> None:
    application = FastAPI()
    add_error_answers(application)
    application.include_router(make_clause_router(work))
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(application, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        asked = ServerClient(f"http://127.0.0.1:{listening.getsockname()[1]}", "key")
        body = {"collection": "a", "topic": "Governing Law"}
        assert (
            asked.post("/api/clauses/find", body)["statement"] == do(work, "find", topic="Governing Law")["statement"]
        )
        with pytest.raises(NotFound, match="no topic 'zebra'"):
            asked.post("/api/clauses/find", {**body, "topic": "zebra"})
    finally:
        server.should_exit = True
        thread.join(30)
        listening.close()
