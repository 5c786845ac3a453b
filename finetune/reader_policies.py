"""Policies: groups from PolicyQA, whose answers are marked in passages of privacy policies.

Source: Ahmad et al. 2020. The set marks some answers and not all, so another passage of the same site is UNKNOWN:
ranked below the marked one, never held against answerability.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from finetune.reader_documents import LabelledDocument, sample, whole_passages
from finetune.reader_groups import ANSWERS, UNKNOWN, Group, Span, split_in_two
from finetune.reader_material import Material

SOURCES = {"policyqa": "PolicyQA: MIT, on OPP-115"}
_MOST_ANSWERING = 3


@dataclass(frozen=True)
class _Site:
    document: LabelledDocument
    numbers: Mapping[str, int]  # of passages, by their id in the set


def policyqa_groups(material: Material) -> Iterator[Group]:
    """Yield a group for each of at most three marked passages of a question about a site."""
    draw = material.draw("policyqa")
    sites = _read_sites(material)
    for (site, question), marked in _read_answers(material, sites).items():
        document = sites[site].document
        others = [number for number in document.ranked(question) if number not in marked]
        for number, spans in list(marked.items())[:_MOST_ANSWERING]:
            drawn = dict.fromkeys(sample(others[:10], 4, draw) + sample(others, 2, draw))
            candidates = [document.candidate(number, ANSWERS, spans)]
            candidates += [document.candidate(other, UNKNOWN) for other in drawn]
            yield Group(question, "policyqa", document.name, document.split, tuple(candidates))


def _read_sites(material: Material) -> dict[str, _Site]:
    texts: dict[str, dict[str, str]] = defaultdict(dict)
    for row in material.rows("policies/policyqa/dev_passages.jsonl"):
        texts[row["policy"]][row["passage_id"]] = row["text"]
    return {
        site: _Site(
            whole_passages(
                f"policyqa/{site}",
                split_in_two(f"pqa{site}"),
                heading=f"{site} privacy policy",
                texts=by_id.values(),
            ),
            {passage_id: number for number, passage_id in enumerate(by_id)},
        )
        for site, by_id in texts.items()
    }


def _read_answers(material: Material, sites: Mapping[str, _Site]) -> dict[tuple[str, str], dict[int, list[Span]]]:
    """Return the marked spans by site and question, then by number of the passage."""
    answers: dict[tuple[str, str], dict[int, list[Span]]] = defaultdict(dict)
    for row in material.rows("policies/policyqa/dev.jsonl"):
        number = sites[row["doc_id"]].numbers[row["passage_id"]]
        answers[row["doc_id"], row["question"]][number] = [(start, end) for start, end in row["spans"]]
    return answers
