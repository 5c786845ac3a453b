"""Runs as MLflow reads them: the folder layout of its file store, written without MLflow and without a server.

It knows RunRecords and that layout (an experiment is a folder with `meta.yaml`; a run has folders `params`, `metrics`,
`tags`, one file for each name; a line of a metric is `milliseconds value step`) and refuses to know training. Rules: a
run keeps its id, so exporting twice gives one run; a value that is no number has no place in a metric and becomes a
tag.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from finetune.runs import RunRecord, Values
from governance.digests import digest_text, short
from governance.errors import BadInput

EXPERIMENT = "provenant"
_STATES = {"running": 1, "finished": 3, "failed": 4, "stopped": 5}  # RUNNING, FINISHED, FAILED, KILLED
_NOT_IN_NAMES = re.compile(r"[^\w. /-]")


def export_runs(records: Iterable[RunRecord], out: Path) -> int:
    """Write runs into a file store (open it with `mlflow ui --backend-store-uri OUT`) and return how many.

    Raises BadInput where `out` is a file.
    """
    if out.exists() and not out.is_dir():
        raise BadInput(f"{out} is a file, expected a folder for the file store; name another.")
    experiment = short(digest_text(EXPERIMENT), 15)
    experiment_number = str(int(experiment, 16))[:18]
    folder = out / experiment_number
    folder.mkdir(parents=True, exist_ok=True)
    meta = {"experiment_id": experiment_number, "name": EXPERIMENT, "lifecycle_stage": "active"}
    _write_meta(folder / "meta.yaml", {**meta, "artifact_location": folder.absolute().as_uri()})
    exported = 0
    for record in records:
        _export_run(record, folder, experiment_number)
        exported += 1
    return exported


def _export_run(record: RunRecord, experiment: Path, experiment_number: str) -> None:
    run_id = short(digest_text(record.id), 32)
    folder = experiment / run_id
    for name in ("params", "metrics", "tags", "artifacts"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    started = _milliseconds(record.started_at)
    meta = {
        "run_id": run_id,
        "run_uuid": run_id,
        "run_name": record.id,
        "experiment_id": experiment_number,
        "user_id": "",
        "status": _STATES[record.status],
        "start_time": started,
        "end_time": _milliseconds(record.ended_at) if record.ended_at else None,
        "source_type": 4,
        "lifecycle_stage": "active",
        "artifact_uri": (folder / "artifacts").absolute().as_uri(),
    }
    _write_meta(folder / "meta.yaml", meta)
    params = {**record.recipe, "seed": record.seed, "recipe_digest": record.recipe_digest}
    for name, value in {**params, "data_digest": record.data_digest, **_prefixed("base", record.base)}.items():
        (folder / "params" / _name(name)).write_text(str(value), encoding="utf-8")
    told = {"mlflow.runName": record.id, "reason": record.reason, **_prefixed("version", record.versions)}
    for name, value in {**told, **_prefixed("machine", record.machine)}.items():
        (folder / "tags" / _name(name)).write_text(str(value), encoding="utf-8")
    _write_metrics(record, folder, started)


def _write_metrics(record: RunRecord, folder: Path, started: int) -> None:
    """Write curves and final figures; without a clock in the curve, steps stand one millisecond apart."""
    series: dict[str, list[tuple[int, float]]] = {}
    last = int(record.curve[-1]["step"]) if record.curve else 0
    for step, values in [*((int(line["step"]), line) for line in record.curve), (last, record.metrics)]:
        for name, value in _numbers(values).items():
            series.setdefault(name, []).append((step, value))
    for name, points in series.items():
        lines = "".join(f"{started + step} {value!r} {step}\n" for step, value in points)
        (folder / "metrics" / _name(name)).write_text(lines, encoding="utf-8")


def _numbers(values: Values) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in values.items()
        if name != "step" and isinstance(value, int | float) and not isinstance(value, bool)
    }


def _write_meta(path: Path, values: Mapping[str, Any]) -> None:
    """Write a YAML mapping: JSON scalars are YAML scalars."""
    path.write_text("".join(f"{name}: {json.dumps(value)}\n" for name, value in values.items()), encoding="utf-8")


def _prefixed(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{prefix}.{name}": value for name, value in values.items()}


def _name(name: str) -> str:
    return _NOT_IN_NAMES.sub("_", name).replace("/", "_")


def _milliseconds(timestamp: str) -> int:
    return int(datetime.fromisoformat(timestamp).timestamp() * 1000)
