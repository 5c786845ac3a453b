"""The product graph: what records state of each other, never what merely looks alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.documents import AttributeValue
from ingest.parse.catalog import parse_catalog
from ingest.product_graph import Edge, derive_edges, fitting_key, fitting_keys, identifier_keys
from tests.conftest import SAMPLES

SHOP = (
    "id,title,supplier,category,model,colour,compatibility,description\n"
    "1,HP LaserJet P1505 printer,HP,Printer,P1505,,,Prints\n"
    '2,HP CB436A toner cartridge Black,HP,Toner,CB436A,Black,"LaserJet P1505, LaserJet M1522 MFP",\n'
    "3,Acme toner Equivalent to HP CB436A,Acme,Toner,AC36,Black,,Compatible with HP LaserJet P1505 printers\n"
    "4,Acme case for HP LaserJet P1505 with handle,Acme,Case,AC1,,,\n"
    "5,Acme lamp 40 Red,Acme,Lamp,L40R,Red,,For 230 V and for bedrooms\n"
    "6,Acme lamp 40 Blue,Acme,Lamp,L40B,Blue,,\n"
    "7,Ribbon for DFX-5000/8500,Best,Ribbon,RB1,,,\n"
    "8,Best desk 8500,Best,Desk,8500,,,\n"
)


@pytest.fixture(scope="module")
def edges(tmp_path_factory: pytest.TempPathFactory) -> list[Edge]:
    path = tmp_path_factory.mktemp("shop") / "shop.csv"
    path.write_text(SHOP)
    return derive_edges(parse_catalog(path))


def of(edges: list[Edge], kind: str) -> set[tuple[str, str, str]]:
    return {(edge.record, edge.target, edge.target_record) for edge in edges if edge.kind == kind}


def test_makers_and_kinds_are_edges(edges: list[Edge]) -> None:
    assert ("2", "HP", "") in of(edges, "brand")
    assert ("2", "Toner", "") in of(edges, "category")


def test_what_fits_is_read_from_attributes_and_from_words(edges: list[Edge]) -> None:
    assert of(edges, "compatible") == {
        ("2", "LaserJet P1505", "1"),
        ("2", "LaserJet M1522 MFP", ""),
        ("3", "HP LaserJet P1505 printers", ""),
    }
    assert Edge("compatible", "2", "LaserJet P1505", "compatibility", "1") in edges


def test_what_a_thing_is_made_for_makes_it_an_accessory(edges: list[Edge]) -> None:
    assert of(edges, "accessory") == {
        ("4", "HP LaserJet P1505", "1"),
        ("7", "DFX-5000", ""),
        ("7", "8500", ""),  # a bare number names no product of the catalogue, the desk 8500 least of all
    }


def test_what_replaces_another_names_it(edges: list[Edge]) -> None:
    assert of(edges, "replaces") == {("3", "HP CB436A", "2")}


def test_variants_differ_in_colour_alone(edges: list[Edge]) -> None:
    assert {(edge.record, edge.target_record) for edge in edges if edge.kind == "variant"} == {("6", "5")}


def test_a_group_that_a_catalogue_names_holds_its_variants(tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_text("id,title,item_group_id\n1,Shirt S,g1\n2,Shirt M,g1\n3,Hat,g2\n")
    found = derive_edges(parse_catalog(path))
    assert [(edge.record, edge.target, edge.target_record) for edge in found] == [("2", "g1", "1")]


def test_the_same_records_give_the_same_edges_in_any_order(tmp_path: Path, edges: list[Edge]) -> None:
    header, *rows = SHOP.strip().split("\n")
    path = tmp_path / "shop.csv"
    path.write_text("\n".join([header, *reversed(rows)]) + "\n")
    assert derive_edges(parse_catalog(path)) == edges


def test_keys_are_all_names_with_a_digit_of_what_a_record_fits() -> None:
    title = "HP CE410X toner"
    keys = fitting_keys(title, f"{title}\nID: 1", {"compatibility": "LaserJet Pro 300 color M 351 A"})
    assert {"300", "pro300", "m351a", "351a", "laserjetpro300"} <= keys
    assert "ce410x" not in keys
    assert fitting_keys(title, "a later slice", {"compatibility": "LaserJet 4"}) == frozenset()


def test_a_record_goes_by_its_id_its_numbers_and_its_model_with_the_maker_or_without() -> None:
    attributes: dict[str, AttributeValue] = {"supplier": "Acme", "model": "Acme TN-2", "ean": 40.0, "colour": "Black"}
    assert identifier_keys("K 7", attributes) == ["40", "acme40", "acmeacmetn2", "acmek7", "acmetn2", "k7", "tn2"]


def test_the_sample_catalogue_states_what_its_toners_fit() -> None:
    parsed = parse_catalog(SAMPLES / "corpus" / "products" / "catalogue.csv")
    edges = derive_edges(parsed)
    assert Edge("compatible", "3920564", "CopyCentre C65", "compatibility") in edges
    assert {edge.kind for edge in edges} >= {"brand", "category", "compatible", "accessory", "variant"}


def test_a_key_needs_a_digit() -> None:
    assert [fitting_key(name) for name in ("HL-4000CN", "LaserJet", "4")] == ["hl4000cn", "", ""]
