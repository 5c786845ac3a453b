"""Product filters, numbers and fits: typed by a person, found in the real index, refused where they would mislead."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant.answer import Answer
from assistant.product_filters import resolve_filters
from assistant.product_identifiers import find_identified, identifier_runs
from assistant.service import AssistantService, SearchRequest
from assistant.turn import AskRequest
from governance.errors import BadInput
from governance.settings import Settings
from governance.store import Store
from ingest.index import Condition, parse_filter
from ingest.pipeline import IngestRequest, run_ingest
from ingest.product_facts import ProductFacts
from ingest.publish import IngestTools
from tests.assistant.conftest import OWNER, ScriptedModels

SHOP = (
    "id,title,supplier,model,weight,price_eur,compatibility\n"
    "1,Acme Air laptop 13,Acme,AIR-13,1.2 kg,900,\n"
    "2,Acme Pro laptop 15,Acme,AP15,1600 g,1200,\n"
    "3,Best Go laptop 11,Best,GO11,2.2 lb,500,\n"
    "4,Acme Duo laptop 17,Acme,DUO17,unknown,1500,\n"
    '5,Acme toner cartridge Black,Acme,TN-2000X,300 g,30,"Jet P1505, Jet P1606"\n'
    "6,Best toner cartridge Black,Best,BT77,310 g,31,Jet P1505n\n"
    "7,Zeta cable for Jet P1505,Zeta,ZC-1,0.1 kg,3,\n"
)


@pytest.fixture
def service(
    settings: Settings, store: Store, models: ScriptedModels, tools: IngestTools, tmp_path: Path
) -> Iterator[AssistantService]:
    made = AssistantService(settings, store, models=models, index_engine=tools.engine)
    (tmp_path / "shop.csv").write_text(SHOP)
    run_ingest(IngestRequest((tmp_path / "shop.csv",), "c"), tools)
    yield made
    made.generations.close()


def search(service: AssistantService, query: str, *filters: str) -> list[str]:
    conditions = tuple(parse_filter(text) for text in filters)
    found = service.search(SearchRequest(query, "c", OWNER, top_k=10, filters=conditions))
    return [passage.chunk.clause for passage in found]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (["weight<1.5 kg", "weight>=1 kg"], {"1"}),
        (["weight<1500 g", "weight>900 g"], {"1", "3"}),
        (["weight=1.6 kg"], {"2"}),
        (["weight<=2.2 lb", "weight>0.5 kg"], {"3"}),
        (["price<950 EUR", "price>100 EUR"], {"1", "3"}),
        (["price<950", "price_eur>100"], {"1", "3"}),
        (["price>€1,200"], {"4"}),
    ],
)
def test_filters_hold_in_any_unit(service: AssistantService, filters: list[str], found: set[str]) -> None:
    assert set(search(service, "laptop", *filters)) == found


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("price<100 USD", "in EUR and not in USD; currencies are never converted"),
        ("weight<100", "states weight with its unit: compare it with one too"),
    ],
)
def test_filters_that_would_mislead_are_refused(service: AssistantService, text: str, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        search(service, "laptop", text)


def test_a_comma_is_read_as_a_person_means_it() -> None:
    assert parse_filter("weight<1,200 g") == Condition("measures.weight_g", "<", 1200.0)
    assert parse_filter("weight<1,2 kg") == Condition("measures.weight_g", "<", 1200.0)
    assert parse_filter("price<€1,200") == Condition("attributes.price_eur", "<", 1200.0)


def test_a_unit_for_bare_numbers_is_refused_with_what_to_do() -> None:
    facts = ProductFacts(records=1, attributes={"weight": 1}, numeric={"weight": 1})
    with pytest.raises(BadInput, match=r"states no unit for it: .* mapping file"):
        resolve_filters([parse_filter("weight<1.5 kg")], facts)
    several = ProductFacts(records=2, numeric={"price_eur": 1, "price_usd": 1})
    with pytest.raises(BadInput, match="EUR, USD: say in which"):
        resolve_filters([parse_filter("price<100")], several)


def test_filters_on_what_is_no_product_stay_as_they_are() -> None:
    filters = tuple(parse_filter(text) for text in ("document=a.pdf", "page>=4", "unheard_of=5", "weight<1 kg"))
    assert resolve_filters(filters, ProductFacts()) == filters
    assert resolve_filters(filters, ProductFacts(records=3)) == filters


@pytest.mark.parametrize(
    "query",
    ["TN2000X", "tn-2000x", "Acme TN-2000X", "TN 2000 X", "Is the TN-2000X in stock?", "what does acme tn2000x cost"],
)
def test_a_model_number_finds_its_record_first(service: AssistantService, query: str) -> None:
    assert search(service, query)[0] == "5"


def test_runs_that_can_be_something_else_are_no_identifiers() -> None:
    assert "2024" not in identifier_runs("a 4 GB kit for 2024")
    assert "4gb" not in identifier_runs("a 4 GB kit for 2024")
    assert identifier_runs("is HL 4000CN in?")["hl4000cn"] == (1, 3)
    assert identifier_runs("") == {}
    assert list(identifier_runs("L2")) == ["l2"]


def test_a_number_within_a_longer_one_does_not_count_beside_it(tools: IngestTools, tmp_path: Path) -> None:
    rows = "id,title,supplier,model\n1,Ink,Best,BCI-6C\n2,Ink Cyan,Best,Ink-jet BCI-6C Cyan\n"
    (tmp_path / "inks.csv").write_text(rows)
    report = run_ingest(IngestRequest((tmp_path / "inks.csv",), "inks"), tools)
    index = tools.engine.open(report.generation)
    try:
        for query, found in (("Is Ink-jet BCI-6C Cyan there?", ["2"]), ("Is BCI-6C there?", ["1"])):
            assert [chunk.clause for chunk in find_identified(query, index, [])] == found
        both = find_identified("Is BCI-6C like the Ink-jet BCI-6C Cyan?", index, [])
        assert {chunk.clause for chunk in both} == {"1", "2"}
    finally:
        index.close()


def ask(service: AssistantService, question: str) -> tuple[str, bool]:
    *_, answer = service.ask(AskRequest(question, "c", OWNER))
    assert isinstance(answer, Answer)
    return answer.reason if answer.abstained else answer.answer, answer.abstained


def test_a_question_lists_within_a_limit_in_another_unit(service: AssistantService) -> None:
    text, _ = ask(service, "Which laptops under 1500 g do you have?")
    assert "2 records" in text
    assert "weight < 1500 g" in text
    assert "Weight: 1.2 kg" in text
    assert "Weight: 2.2 lb" in text


def test_a_question_in_another_currency_is_not_answered_by_converting(service: AssistantService) -> None:
    text, abstained = ask(service, "Which laptops under $1000 do you have?")
    assert abstained
    assert "never converted" in text


def test_what_fits_is_found_by_the_graph(service: AssistantService) -> None:
    text, _ = ask(service, "Which toner fits the Jet P1505?")
    assert "Acme toner cartridge Black" in text
    assert "Best toner" not in text
