"""Compounds are found however they are written."""

from __future__ import annotations

from ingest.compounds import add_joined
from ingest.index_words import WordModel


def test_each_compound_is_added_joined_as_often_as_it_occurs() -> None:
    assert add_joined("anti-inflammatory, self-service and anti-inflammatory") == (
        "anti-inflammatory, self-service and anti-inflammatory antiinflammatory selfservice antiinflammatory"
    )
    assert add_joined("no compound - here") == "no compound - here"


def test_both_spellings_share_a_token() -> None:
    model = WordModel()
    written = model.weigh_document("an anti-inflammatory drug")
    assert set(model.weigh_query("antiinflammatory").indices) <= set(written.indices)
