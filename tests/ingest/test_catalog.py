"""Catalogues: one record a product, typed attributes, every row accounted for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from governance.errors import BadInput
from ingest.parse.catalog import parse_catalog

CSV = (
    "id,name,title,supplier,price_eur,ean,date_released,short_description,attributes_json\n"
    '10,006R90321,Xerox toner,Xerox,49.95,0095205603217,2009-12-10T00:00:00Z,Six a box,"{""colour"": ""Black"", '
    '""yield"": 23000.0, ""refill"": false}"\n'
    "11,HL1,Brother printer,Brother,99,0001,,Small,\n"
)


def write(tmp_path: Path, text: str | bytes, name: str = "catalogue.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return path


def test_each_product_is_one_record_with_typed_attributes(tmp_path: Path) -> None:
    parsed = parse_catalog(write(tmp_path, CSV))
    first, second = parsed.clauses
    assert (first.number, first.path, first.kind) == ("10", ("Xerox toner",), "record")
    assert first.attributes == {
        "id": "10",
        "name": "006R90321",
        "supplier": "Xerox",
        "price_eur": 49.95,
        "ean": "0095205603217",
        "date_released": "2009-12-10T00:00:00Z",
        "colour": "Black",
        "yield": 23000.0,
        "refill": False,
    }
    assert parsed.text[first.start : first.end].split("\n") == [
        "Xerox toner",
        "Six a box",
        "ID: 10",
        "Model: 006R90321",
        "Supplier: Xerox",
        "Price: 49.95 EUR",
        "EAN: 0095205603217",
        "Date released: 2009-12-10",
        "Colour: Black",
        "Yield: 23000",
        "Refill: no",
    ]
    assert parsed.text[second.start : second.end].startswith("Brother printer\nSmall")


@pytest.mark.parametrize("name", ["c.json", "c.jsonl"])
def test_json_and_json_lines_give_the_same_records(tmp_path: Path, name: str) -> None:
    products = [{"SKU": "A1", "Title": "Cable", "Tags": ["usb", "1 m"], "Weight": 0.2}, {"SKU": "A2", "Title": "Hub"}]
    text = json.dumps({"products": products}) if name == "c.json" else "\n".join(json.dumps(one) for one in products)
    parsed = parse_catalog(write(tmp_path, text, name))
    assert [clause.number for clause in parsed.clauses] == ["A1", "A2"]
    assert parsed.clauses[0].attributes == {"sku": "A1", "tags": "usb; 1 m", "weight": 0.2}


def test_semicolons_and_tabs_are_recognised(tmp_path: Path) -> None:
    for delimiter in (";", "\t"):
        parsed = parse_catalog(write(tmp_path, f"id{delimiter}title\n1{delimiter}Cable, black\n"))
        assert parsed.clauses[0].path == ("Cable, black",)


def test_rows_that_cannot_be_read_are_named_and_left_out(tmp_path: Path) -> None:
    parsed = parse_catalog(write(tmp_path, "id,title\n1,One\n2\n3,Three\n1,Again\n,Nameless\n"))
    assert [clause.number for clause in parsed.clauses] == ["1", "3"]
    assert parsed.warnings == (
        "line 3 has 1 fields, 2 expected: left out",
        "record 3: the id 1 occurs twice: left out",
        "record 4: the id or the title is empty: left out",
        "columns read as: id=id, title=title; catalogue.mapping.toml beside it can name others",
    )


def test_other_encodings_are_read_with_a_warning(tmp_path: Path) -> None:
    parsed = parse_catalog(write(tmp_path, "id,title\n1,Brühgerät\n".encode("cp1252")))
    assert parsed.clauses[0].path == ("Brühgerät",)
    assert "not UTF-8" in parsed.warnings[0]
    assert parse_catalog(write(tmp_path, "id,title\n1,Grün\n".encode("utf-16"))).clauses[0].path == ("Grün",)


@pytest.mark.parametrize(
    ("text", "name", "reason"),
    [
        ("", "a.csv", "empty"),
        ("id,title\n", "a.csv", "no records"),
        ("sku_no,text\n1,x\n", "a.csv", r"no column for the id and title \(its columns: sku_no, text\)"),
        ("id,title\n1,a,b\n2,c,d\n3,e,f\n", "a.csv", "most lines do not match"),
        ("id,title\n1,\n", "a.csv", "No record"),
        ("\0\1\2", "a.csv", "binary"),
        ("{", "a.json", "not valid JSON"),
        ("[" * 100_000, "a.json", "nests too deeply|not valid JSON"),
        ("[]", "a.json", "no records"),
        ("12", "a.jsonl", "no records"),
    ],
)
def test_what_is_no_catalogue_is_refused_with_a_reason(tmp_path: Path, text: str, name: str, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        parse_catalog(write(tmp_path, text, name))


def test_control_characters_never_reach_the_text(tmp_path: Path) -> None:
    parsed = parse_catalog(write(tmp_path, 'id,title\n1,"Ca\x07ble\x1b[31m\nblack"\n'))
    assert parsed.clauses[0].path == ("Ca ble [31m black",)


MAPPED = (
    "Artikel;Bezeichnung;Preis;Waehrung;Gewicht;Laenge;Farbe;Daten\n"
    'K1;Kabel "lang";1.299,50;EUR;1,25;28,7 cm;rot;"{""power"": 60}"\n'
    "K2;Netzteil;9,90;USD;0,8;1.200 mm;blau;\n"
)
MAPPING = """
id = "Artikel"
title = "Bezeichnung"
decimal = ","
delimiter = ";"
[price]
column = "Preis"
currency_column = "Waehrung"
[attributes]
weight = { column = "Gewicht", unit = "kg" }
length = "Laenge"
colour = { column = "Farbe" }
power = { unit = "W" }
"""


def test_a_mapping_names_columns_currency_units_and_the_decimal_mark(tmp_path: Path) -> None:
    parsed = parse_catalog(write(tmp_path, MAPPED), MAPPING)
    first, second = parsed.clauses
    assert first.path == ('Kabel "lang"',)
    assert first.attributes == {
        "artikel": "K1",
        "price_eur": 1299.5,
        "waehrung": "EUR",
        "weight": "1.25 kg",
        "length": "28.7 cm",
        "colour": "rot",
        "power": "60 W",
    }
    assert parsed.text[first.start : first.end].split("\n")[2:5] == [
        "Price: 1299.50 EUR",
        "Waehrung: EUR",
        "Weight: 1.25 kg",
    ]
    assert (second.attributes["price_usd"], second.attributes["length"]) == (9.9, "1200 mm")
    assert parsed.warnings == ()


@pytest.mark.parametrize(
    ("mapping", "reason"),
    [
        ("id = ", "not valid TOML"),
        ("[" * 2000, "not valid TOML"),
        ('id = "Artikel"', "no column for the title"),
        ('id = "SKU"\ntitle = "Bezeichnung"', r"names the column 'sku', which catalogue.csv does not have .*artikel"),
        ('id = "power"\ntitle = "Bezeichnung"', "names the column 'power'"),
        ('id = "Artikel"\ntitle = "Bezeichnung"\ncolour = "x"', "unknown key 'colour'; known are attributes, decimal"),
        ('id = "Artikel"\ntitle = "Bezeichnung"\n[price]\ncolumn = "Preis"', "either currency"),
        ('id = "Artikel"\ntitle = "Bezeichnung"\n[price]\ncurrency = "EUR"', "no column for the price"),
        ('id = "Artikel"\ntitle = "Bezeichnung"\n[price]\nvat = 1', "unknown key 'vat' in price"),
        ('id = "Artikel"\ntitle = "Bezeichnung"\n[attributes]\na = {unit = "stone"}', "unit 'stone', which is not"),
        ('id = "Artikel"\ntitle = "Bezeichnung"\n[attributes]\na = 3', "a table of keys was expected"),
        ('id = "Artikel"\ntitle = "Bezeichnung"\n[attributes]\na = "Farbe"\nb = "Farbe"', "'farbe' to two attributes"),
        ('id = "Artikel"\ntitle = "Bezeichnung"\ndecimal = ";"', "decimal as ';'; '.' or ',' was expected"),
        ('id = 3\ntitle = "Bezeichnung"', "id as 3, a text in quotes"),
        ('id = ""\ntitle = "Bezeichnung"', "names no column for id"),
    ],
)  # fmt: skip
def test_a_mapping_that_does_not_fit_is_refused_with_a_reason(tmp_path: Path, mapping: str, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        parse_catalog(write(tmp_path, MAPPED), mapping)


def test_what_is_guessed_without_a_mapping_is_said(tmp_path: Path) -> None:
    parsed = parse_catalog(write(tmp_path, "sku;name;preis;gewicht\n1;Kabel;4,99 €;1,2 kg\n2;Hub;19,50 €;800 g\n"))
    assert parsed.warnings == (
        "columns read as: id=sku, title=name, price=preis (EUR), decimal comma; "
        "catalogue.mapping.toml beside it can name others",
    )
    assert parsed.clauses[0].attributes == {"sku": "1", "preis_eur": 4.99, "gewicht": "1.2 kg"}
    assert "Preis: 4.99 EUR\nGewicht: 1.2 kg" in parsed.text


def test_columns_of_numbers_hold_numbers_and_codes_stay_text(tmp_path: Path) -> None:
    parsed = parse_catalog(write(tmp_path, "id,title,ports,sizes,lot\n1,Hub,4,10,007\n2,Dock,2.50,large,1\n"))
    assert parsed.clauses[0].attributes == {"id": "1", "ports": 4.0, "sizes": "10", "lot": "007"}
    assert "Ports: 2.50" in parsed.text


def test_numbers_that_can_be_read_in_two_ways_stay_text_and_are_named(tmp_path: Path) -> None:
    parsed = parse_catalog(write(tmp_path, 'id,title,price,range\n1,Kit,"1,299","1,200 mm"\n'))
    assert parsed.clauses[0].attributes == {"id": "1", "price": "1,299", "range": "1,200 mm"}
    assert "numbers of price (1, such as 1,299), range (1, such as 1,200 mm)" in parsed.warnings[0]
