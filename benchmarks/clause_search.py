"""Measure exhaustive clause search on CUAD: precision, recall and F1 at clause level, by category.

Run: python -m benchmarks.clause_search FOLDER --home HOME [--documents N] [--fit] [--out FILE]

FOLDER holds `docs.jsonl`, `qa.jsonl`, `categories.jsonl` and `txt/` of CUAD (CC BY 4.0). N documents are chosen by the
digest of their id and ingested into HOME once; every second one tunes (weights and thresholds, with --fit, by
logistic regression), the others test. A clause is positive for a category where a gold span overlaps it by 15
characters or wholly. Baselines on the same clauses: the ten nearest by plain dense search over the whole collection,
the ten nearest in each document, and dense search with a threshold tuned on the tuning half.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assistant.bootstrap import Chosen, intervals_of
from assistant.clause_scope import ClauseScope, ClauseText, open_scope
from assistant.clause_scoring import FEATURES, TEXT_THRESHOLD, TEXT_WEIGHTS, TOPIC_WEIGHTS, Candidate, measure
from assistant.clause_topics import Topic, load_topics
from assistant.clauses import closeness_of
from benchmarks.measured import figure, write_result
from governance.digests import digest_text
from ui.installation import Installation

CATEGORIES = (
    *("Governing Law", "Expiration Date", "Anti-Assignment", "Cap On Liability", "License Grant", "Audit Rights"),
    *("Exclusivity", "Post-Termination Services", "Minimum Commitment", "Renewal Term", "Termination For Convenience"),
    *("Insurance", "Revenue/Profit Sharing", "Non-Transferable License", "Ip Ownership Assignment"),
)
LEAST_OVERLAP = 15  # characters


@dataclass
class Labelled:
    """The clauses of the chosen contracts, which half each is in, and what is measured of them for each topic."""

    clauses: Sequence[ClauseText]
    tunes: np.ndarray  # (clauses,) bool
    gold: dict[str, np.ndarray]  # category -> (clauses,) bool
    features: dict[str, np.ndarray]  # category -> (clauses, features)
    closeness: dict[str, np.ndarray]  # category -> (clauses,), of CUAD's own question
    documents: np.ndarray  # (clauses,) number of the document


def choose(folder: Path, count: int) -> list[dict[str, str]]:
    documents = [json.loads(line) for line in (folder / "docs.jsonl").read_text(encoding="utf-8").splitlines()]
    documents.sort(key=lambda one: digest_text(one["doc_id"]))
    return documents[:count]


def ingest(folder: Path, chosen: Sequence[dict[str, str]], home: Path) -> Installation:
    os.environ["PROVENANT_HOME"] = str(home)
    corpus = home.parent / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for one in chosen:
        source = folder / one["txt"]
        shutil.copy(source, corpus / source.name)
    from ingest.pipeline import IngestRequest

    installation = Installation()
    installation.ingest(IngestRequest((corpus,), "cuad"), lambda *_: None)
    return installation


def label(installation: Installation, folder: Path, chosen: Sequence[dict[str, str]]) -> Labelled:
    names = {Path(one["txt"]).name: number for number, one in enumerate(chosen)}
    spans = _gold_spans(folder, {one["doc_id"]: Path(one["txt"]).name for one in chosen})
    questions = _questions(folder)
    topics = load_topics()
    service = installation.service
    with open_scope(service, ClauseScope("cuad", installation.principal())) as opened:
        clauses = opened.examined.clauses
        documents = np.array([names[clause.document] for clause in clauses])
        labelled = Labelled(clauses, documents % 2 == 0, {}, {}, {}, documents)
        for category in CATEGORIES:
            own = topics[category]
            close = closeness_of(service, own, opened)
            candidates = [Candidate(c.path, c.text, near) for c, near in zip(clauses, close, strict=True)]
            labelled.features[category] = np.array([measure(own, one, weigh=opened.weigh) for one in candidates])
            labelled.gold[category] = np.array([_is_positive(one, spans[category]) for one in clauses])
            asked = Topic(category, questions[category])
            labelled.closeness[category] = np.array(closeness_of(service, asked, opened))
    return labelled


def _gold_spans(folder: Path, names: dict[str, str]) -> dict[str, dict[str, list[tuple[int, int]]]]:
    spans: dict[str, dict[str, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
    for line in (folder / "qa.jsonl").read_text(encoding="utf-8").splitlines():
        value = json.loads(line)
        if value["doc_id"] in names:
            spans[value["category"]][names[value["doc_id"]]] += [(start, end) for start, end in value["spans"]]
    return spans


def _questions(folder: Path) -> dict[str, str]:
    lines = (folder / "categories.jsonl").read_text(encoding="utf-8").splitlines()
    values = [json.loads(line) for line in lines]
    return {value["category"]: value["question"].split("Details: ")[-1] for value in values}


def _is_positive(clause: ClauseText, spans: dict[str, list[tuple[int, int]]]) -> bool:
    for start, end in spans.get(clause.document, []):
        overlap = min(end, clause.end) - max(start, clause.start)
        if overlap >= min(LEAST_OVERLAP, end - start):
            return True
    return False


def scores_of(features: np.ndarray, weights: Sequence[float]) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(features @ np.array(weights), -30, 30)))


def best_threshold(scores: np.ndarray, gold: np.ndarray) -> float:
    grid = np.unique(np.quantile(scores, np.linspace(0.5, 1, 400)))
    return float(max(grid, key=lambda least: _f1(scores >= least, gold)))


def _f1(said: np.ndarray, gold: np.ndarray) -> float:
    return 2 * float((said & gold).sum()) / max(1.0, float(said.sum() + gold.sum()))


def fit_weights(labelled: Labelled, use: Sequence[str]) -> tuple[float, ...]:
    """Fit one logistic rule over all categories on the tuning half; features not in `use` get weight 0."""
    from sklearn.linear_model import LogisticRegression

    columns = [FEATURES.index(name) for name in use]
    inputs = np.concatenate([labelled.features[name][labelled.tunes][:, columns] for name in CATEGORIES])
    wanted = np.concatenate([labelled.gold[name][labelled.tunes] for name in CATEGORIES])
    model = LogisticRegression(C=10.0, max_iter=2000).fit(inputs, wanted)
    weights = np.zeros(len(FEATURES))
    weights[0] = model.intercept_[0]
    weights[columns] += model.coef_[0]
    return tuple(float(round(weight, 3)) for weight in weights)


Decide = Callable[[str], np.ndarray]


def report(title: str, labelled: Labelled, decide: Decide) -> None:
    test = ~labelled.tunes
    print(f"\n{title}\n{'category':<30} {'gold':>5} {'said':>5} {'prec':>6} {'recall':>6} {'F1':>6}")
    totals = np.zeros(3)
    rows = []
    for category in CATEGORIES:
        said, gold = decide(category)[test], labelled.gold[category][test]
        counts = np.array([(said & gold).sum(), said.sum(), gold.sum()], dtype=float)
        totals += counts
        rows.append(_row(category, counts))
    print("\n".join([*rows, _row("micro", totals)]))


def _row(name: str, counts: np.ndarray) -> str:
    hits, said, gold = counts
    precision, recall = hits / max(said, 1), hits / max(gold, 1)
    return (
        f"{name:<30} {gold:>5.0f} {said:>5.0f} {precision:>6.2f} {recall:>6.2f} {2 * hits / max(said + gold, 1):>6.3f}"
    )


def nearest(labelled: Labelled, category: str, *, most: int, by_document: bool) -> np.ndarray:
    """Return which clauses are the nearest of the test half, or of each of its documents."""
    said = np.zeros(len(labelled.clauses), dtype=bool)
    test = np.flatnonzero(~labelled.tunes)
    groups: Iterable[np.ndarray] = [test]
    if by_document:
        groups = [test[labelled.documents[test] == one] for one in np.unique(labelled.documents[test])]
    for group in groups:
        said[group[np.argsort(-labelled.closeness[category][group])[:most]]] = True
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--documents", type=int, default=80)
    parser.add_argument("--fit", action="store_true", help="fit weights on the tuning half and print them")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    started = time.monotonic()
    chosen = choose(options.folder, options.documents)
    labelled = label(ingest(options.folder, chosen, options.home), options.folder, chosen)
    print(f"{len(chosen)} contracts, {len(labelled.clauses):,} clauses ({time.monotonic() - started:.0f} s)")
    figures = run(labelled, fit=options.fit)
    if options.out:
        write_result(options.out, figures)


def run(labelled: Labelled, *, fit: bool) -> dict[str, Any]:
    weights: Sequence[float] = TOPIC_WEIGHTS
    text_weights: Sequence[float] = TEXT_WEIGHTS
    if fit:
        weights = fit_weights(labelled, FEATURES[1:])
        text_weights = fit_weights(labelled, ("closeness", "coverage", "length"))
        print(f"TOPIC_WEIGHTS = {weights}\nTEXT_WEIGHTS = {text_weights}")
    tune = labelled.tunes
    topics = load_topics()
    scores = {name: scores_of(labelled.features[name], weights) for name in CATEGORIES}
    tuned = {name: best_threshold(scores[name][tune], labelled.gold[name][tune]) for name in CATEGORIES}
    if fit:
        print("\n".join(f"threshold of {name}: {least:.3f}" for name, least in tuned.items()))
        _print_shared(labelled, scores, "topics")
        _print_shared(labelled, {n: scores_of(labelled.features[n], text_weights) for n in CATEGORIES}, "free text")
    close = labelled.closeness
    dense = {name: best_threshold(close[name][tune], labelled.gold[name][tune]) for name in CATEGORIES}
    least = tuned if fit else {name: topics[name].threshold for name in CATEGORIES}

    def by_topic(name: str) -> np.ndarray:
        return scores[name] >= least[name]

    report("topics: wording and closeness", labelled, by_topic)
    report("topics, with the borderline list read too", labelled, lambda name: scores[name] >= least[name] / 3)
    text = {name: scores_of(labelled.features[name], text_weights) for name in CATEGORIES}
    report("free text: the description alone", labelled, lambda name: text[name] >= TEXT_THRESHOLD)
    report(
        "baseline: 10 nearest of the collection", labelled, lambda n: nearest(labelled, n, most=10, by_document=False)
    )
    report("baseline: 10 nearest of each document", labelled, lambda n: nearest(labelled, n, most=10, by_document=True))
    report("baseline: dense, tuned threshold", labelled, lambda name: close[name] >= dense[name])
    ten = micro(labelled, lambda name: nearest(labelled, name, most=10, by_document=False))
    return {**micro(labelled, by_topic), "ten nearest": ten["f1"]}


def micro(labelled: Labelled, decide: Decide) -> dict[str, Any]:
    """Return precision, recall and F1 over all categories of the test half, with intervals over its documents."""
    test = np.flatnonzero(~labelled.tunes)
    said, gold = (np.stack([of(name)[test] for name in CATEGORIES]) for of in (decide, labelled.gold.__getitem__))

    def figures(chosen: Chosen) -> dict[str, float]:
        hits, found, wanted = ((one[:, chosen]).sum() for one in (said & gold, said, gold))
        return {
            "precision": float(hits / max(found, 1)),
            "recall": float(hits / max(wanted, 1)),
            "f1": float(2 * hits / max(found + wanted, 1)),
        }

    between = intervals_of(figures, [str(one) for one in labelled.documents[test]])
    values = figures(np.arange(len(test)))
    return {name: figure(value, between[name], n=int(gold.sum())) for name, value in values.items()}


def _print_shared(labelled: Labelled, scores: dict[str, np.ndarray], name: str) -> None:
    together = np.concatenate([scores[one][labelled.tunes] for one in CATEGORIES])
    gold = np.concatenate([labelled.gold[one][labelled.tunes] for one in CATEGORIES])
    print(f"threshold shared by all {name}: {best_threshold(together, gold):.3f}")


if __name__ == "__main__":
    main()
