"""Standard clauses as a source: each is asked of each contract, and answered by the contract's own clause.

What a contract says is found by `assistant.standard_clauses`, over every clause in scope. Rules: only documents in
which several standards are found count as contracts; a standard that is missing is not asked for, since a clause under
another wording may still be there.
"""

from __future__ import annotations

import random
from collections import Counter

from assistant.clause_scope import ClauseScope
from assistant.clause_topics import load_topics
from assistant.standard_clauses import compare_with_standard, load_standard
from finetune.example_checks import Taken
from finetune.example_contexts import Contexts
from finetune.example_questions import Draft, Templates, is_whole, title_of
from finetune.examples import TrainingExample
from governance.errors import NotFound
from ingest.index import Stored

_LEAST_FOUND = 3  # standards found in a document before it counts as a contract
_LEAST_WORDS = 8  # fewer are a heading


def standard_examples(
    contexts: Contexts, chunks: list[Stored], templates: Templates, draw: random.Random, taken: Taken
) -> list[TrainingExample]:
    """Return an example for each standard clause that a contract of the collection has in its own words."""
    made: list[TrainingExample] = []
    for draft in standard_drafts(contexts, chunks, templates, draw):
        made += contexts.examples(draft, taken, near_miss=draw.random() < 1 / 2)
    return made


def standard_drafts(contexts: Contexts, chunks: list[Stored], templates: Templates, draw: random.Random) -> list[Draft]:
    """Return what to ask of the contracts of a collection; nothing where it holds none."""
    scope = ClauseScope(contexts.collection, contexts.principal)
    try:
        found = compare_with_standard(contexts.service, scope, library=load_standard(), topics=load_topics())
    except NotFound:
        return []
    rows = [row for row in found["rows"] if row["status"] != "missing" and row["clause"]["evidence"]]
    standards = Counter(row["document"] for row in rows)
    drafts = []
    for row in rows:
        evidence = next((one for one in row["clause"]["evidence"] if is_whole(one["quote"])), None)
        if evidence is None or len(evidence["quote"].split()) < _LEAST_WORDS:
            continue
        chunk = _chunk_at(chunks, row["document"], row["version"], evidence["char_start"], evidence["char_end"])
        if standards[row["document"]] < _LEAST_FOUND or chunk is None:
            continue
        quote = chunk.text[evidence["char_start"] - chunk.start : evidence["char_end"] - chunk.start]
        if is_whole(quote):
            question = templates.ask("standard", draw, heading=row["topic"].lower(), title=title_of(chunk))
            drafts.append(Draft("clause", question, chunk, quote, f"standard clause: {row['standard']}"))
    return drafts


def _chunk_at(chunks: list[Stored], document: str, version: str, start: int, end: int) -> Stored | None:
    """Return the chunk that holds a place whole."""
    for chunk in chunks:
        if (chunk.document, chunk.version) == (document, version) and chunk.start <= start and end <= chunk.end:
            return chunk
    return None
