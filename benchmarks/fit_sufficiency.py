"""Fit the sufficiency weights and threshold on development halves, and report on both halves.

    .venv/bin/python -m benchmarks.fit_sufficiency GOLDEN_ROWS ROWS... [--pool]

The files hold rows that `benchmarks/abstention.py` measured: of the golden questions, then of any of CUAD, ClapNQ and
MTRAG. Only rows of the half `dev` are fitted on. Logistic regression in steps, since the sets pull apart: first what
speaks of all documents, on the golden questions; with that held, what speaks of clauses, on CUAD; with that held, the
level of contracts, on golden questions that found one. With `--pool` ClapNQ and MTRAG have a part in the first step,
the golden questions counting as much as they together; else they are only reported on. In each set the unanswerable
count as `UNANSWERABLE` of its questions, as among the golden ones. The threshold is the lowest whose risk (the share of
unanswerable among what is answered) on the golden development half is at most `STATED_RISK`. Prints
`assistant.sufficiency.Thresholds`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assistant import metrics
from assistant.sufficiency import Features, Thresholds, judge
from benchmarks.abstention import MIXES, coverage_in_mix
from benchmarks.abstention_questions import Row, read_lines

CLAUSES = ("usual", "worded", "clause_relevance")
GENERAL = tuple(field.name for field in fields(Features) if field.name not in {*CLAUSES, "contract"})
UNANSWERABLE = 0.25
STATED_RISK = 0.05
RIDGE = 0.3  # of all weights but levels; as C = 3 of scikit-learn
_LEVELS = {"intercept", "contract"}
_STEPS, _HALVINGS = 100, 20
_FAR = 500.0  # log-odds beyond which a probability is 0 or 1
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """Rows to fit on: `features` (rows, names), `truth` and `weights` (rows,), `offset` (rows,) what is held."""

    features: Numbers
    truth: NDArray[np.bool_]
    weights: Numbers
    offset: Numbers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("golden", type=Path)
    parser.add_argument("others", type=Path, nargs="+")
    parser.add_argument("--pool", action="store_true", help="fit what speaks of all documents on ClapNQ and MTRAG too")
    arguments = parser.parse_args()
    sets = {path.stem: plain_rows(path) for path in (arguments.golden, *arguments.others)}
    fitted = fit(sets, golden=arguments.golden.stem, pool=arguments.pool)
    for name, value in asdict(fitted).items():
        print(f"{name}: float = {value:.2f}")
    for name, rows in sets.items():
        for split in ("dev", "test"):
            report(f"{name} {split}", [row for row in rows if row["split"] == split], fitted)


def plain_rows(path: Path) -> list[Row]:
    return [row for row in read_lines(path) if row["label"] in {"answerable", "unanswerable"}]


def fit(sets: Mapping[str, list[Row]], *, golden: str, pool: bool = False) -> Thresholds:
    """Return the weights and the threshold, all rounded to what is stored."""
    dev = {name: [row for row in rows if row["split"] == "dev"] for name, rows in sets.items()}
    about = {name: "contracts" if any(row["kind"] == "cuad" for row in rows) else "all" for name, rows in dev.items()}
    others = [rows for name, rows in dev.items() if pool and name != golden and about[name] == "all"]
    weight = max(1.0, sum(map(len, others)) / len(dev[golden]))
    start = Thresholds(**dict.fromkeys(["intercept", *GENERAL, *CLAUSES, "contract"], 0.0))
    whole = fitted_with(start, ("intercept", *GENERAL), [(dev[golden], weight), *((rows, 1.0) for rows in others)])
    cuad = [(of_contracts(rows), 1.0) for name, rows in dev.items() if about[name] == "contracts"]
    if cuad:
        whole = fitted_with(whole, ("contract", *CLAUSES), cuad)
        whole = fitted_with(whole, ("contract",), [(of_contracts(dev[golden]), 1.0)])
    return replace(whole, answer_from=threshold_of(whole, dev[golden]))


def of_contracts(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["features"]["contract"]]


def fitted_with(held: Thresholds, free: Sequence[str], sets: Sequence[tuple[Sequence[Row], float]]) -> Thresholds:
    """Return weights with those named fitted on weighted sets and all others as they are held."""
    rows = [row for one, _ in sets for row in one]
    table = np.array([[{"intercept": 1.0, **row["features"]}[name] for name in free] for row in rows])
    start = replace(held, **dict.fromkeys(free, 0.0))
    sample = Sample(
        features=table,
        truth=np.array([row["answerable"] for row in rows], dtype=bool),
        weights=np.concatenate([mixed(one) * weight for one, weight in sets]),
        offset=np.array([logit(row, start) for row in rows]),
    )
    found = solve(sample, ridge=np.array([0.0 if name in _LEVELS else RIDGE for name in free]))
    return replace(held, **{name: round(float(value), 2) for name, value in zip(free, found, strict=True)})


def mixed(rows: Sequence[Row]) -> Numbers:
    """Return weights under which `UNANSWERABLE` of the rows are unanswerable; they sum to the number of rows."""
    truth = np.array([row["answerable"] for row in rows], dtype=bool)
    if truth.all() or not truth.any():
        return np.ones(len(rows))
    weights: Numbers = np.where(truth, (1 - UNANSWERABLE) / truth.mean(), UNANSWERABLE / (1 - truth.mean()))
    return weights


def solve(sample: Sample, *, ridge: Numbers) -> Numbers:
    """Return the weights (names,) of the logistic regression with a ridge, by Newton's method with halved steps."""
    signs = np.where(sample.truth, 1.0, -1.0)

    def loss(weights: Numbers) -> float:
        margins = signs * (sample.offset + sample.features @ weights)
        return float(sample.weights @ np.logaddexp(0, -margins) + ridge @ weights**2 / 2)

    found: Numbers = np.zeros(sample.features.shape[1])
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(sample.offset + sample.features @ found, -_FAR, _FAR)))
        slope = sample.features.T @ (sample.weights * (sample.truth - chance)) - ridge * found
        bend = (sample.features * (sample.weights * chance * (1 - chance))[:, None]).T @ sample.features
        step = np.linalg.solve(bend + np.diag(ridge + 1e-6), slope)
        shares = [0.5**number for number in range(_HALVINGS) if loss(found + 0.5**number * step) < loss(found)]
        if not shares:
            break
        found = found + shares[0] * step
    return found


def logit(row: Row, weights: Thresholds) -> float:
    return float(weights.intercept + sum(getattr(weights, name) * value for name, value in row["features"].items()))


def threshold_of(weights: Thresholds, rows: Sequence[Row]) -> float:
    """Return the lowest probability, in hundredths, from which the risk on some rows is at most `STATED_RISK`."""
    values, truth = probabilities(rows, weights)
    for threshold in np.arange(0.01, 1.0, 0.01):
        accepted = values >= threshold
        if accepted.any() and (~truth)[accepted].mean() <= STATED_RISK:
            return round(float(threshold), 2)
    return 0.99


def probabilities(rows: Sequence[Row], weights: Thresholds) -> tuple[Numbers, NDArray[np.bool_]]:
    """Return the probability of each row and whether it is answerable, each (rows,)."""
    values = [judge(Features(**row["features"]), weights).probability for row in rows]
    return np.array(values, dtype=np.float64), np.array([row["answerable"] for row in rows], dtype=bool)


def report(name: str, rows: Sequence[Row], weights: Thresholds) -> None:
    values, truth = probabilities(rows, weights)
    coverage = ", ".join(f"{coverage_in_mix(values, truth, ~truth, share):.3f} ({mix})" for mix, share in MIXES.items())
    refused = values < weights.answer_from
    print(f"{name}: {len(rows)} questions, AUROC {metrics.auroc(values, truth):.3f}")
    print(f"  coverage where 5 % of the answered are unanswerable, by their share: {coverage}")
    print(f"  refuses {refused[truth].mean():.3f} of the answerable, {refused[~truth].mean():.3f} of the unanswerable")


if __name__ == "__main__":
    main()
