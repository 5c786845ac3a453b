"""Records of training runs: what was trained, on what, with which figures, kept as files below the home folder.

A run is a folder `<home>/finetune/runs/<id>/` with `run.json` (rewritten whole, atomically) and `curve.jsonl` (one
line appended for each logged step), so that a run that is killed still has its curve. It knows numbers, names and
digests and refuses to know tensors. Rules: a run that goes on after a stop continues its own record and never starts
a second one; a figure that is not a number is kept as text, so that a NaN is seen; nothing is ever deleted here.
"""

from __future__ import annotations

import json
import math
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, Protocol

from finetune.spikes import count_spikes
from governance.digests import digest_value, short
from governance.errors import Damaged, NotFound

RunStatus = Literal["running", "finished", "stopped", "failed"]
Values = Mapping[str, Any]
Clock = Callable[[], float]  # seconds since 1970

RECORD = "run.json"
CURVE = "curve.jsonl"
_LIBRARIES = ("torch", "transformers", "bitsandbytes", "peft", "numpy", "provenant")


@dataclass(frozen=True)
class RunRecord:
    """One training run. `base` names the base model and its digest; `curve` has a dict with `step` for each line."""

    id: str
    recipe: Values
    recipe_digest: str
    data_digest: str
    base: Mapping[str, str]
    seed: int
    status: RunStatus
    started_at: str  # ISO 8601, UTC
    ended_at: str = ""
    adapter: str = ""  # folder of the adapter, as it was given
    metrics: Values = field(default_factory=dict)
    machine: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""  # why it stopped or failed
    curve: tuple[Values, ...] = ()

    @property
    def same_work(self) -> tuple[str, str, str, int]:
        """What must be equal for a run to go on in this record."""
        return self.recipe_digest, self.data_digest, self.base.get("digest", ""), self.seed

    def loss_spikes(self) -> int:
        """Return how often the logged loss left its course, or was no number."""
        return count_spikes([line["loss"] for line in self.curve if "loss" in line])


class RunLog(Protocol):
    """What a training run tells while it works."""

    def start(
        self, *, recipe: Values, recipe_digest: str, data_digest: str, base: Mapping[str, str], seed: int, resumed: bool
    ) -> None:
        """Say what begins; with `resumed` the run of the same work goes on."""

    def log(self, step: int, values: Values) -> None:
        """Note the figures of a step."""

    def finish(self, metrics: Values, *, status: RunStatus = "finished", reason: str = "", adapter: str = "") -> None:
        """Say how it ended."""


class RunWriter:
    """A RunLog that writes records below a folder."""

    def __init__(self, folder: Path, *, clock: Clock = time.time) -> None:
        self._folder = folder
        self._clock = clock
        self._record: RunRecord | None = None

    @property
    def has_begun(self) -> bool:
        """Whether a run is under way here: of several processes of one run, only the first records it."""
        return self._record is not None

    @property
    def run_id(self) -> str:
        """The id of the run under way. Raises NotFound before `start`."""
        return self._started().id

    def start(
        self, *, recipe: Values, recipe_digest: str, data_digest: str, base: Mapping[str, str], seed: int, resumed: bool
    ) -> None:
        """Begin a record, or go on in the last one of the same work that has not finished."""
        started = _timestamp(self._clock())
        same = (recipe_digest, data_digest, base.get("digest", ""), seed)
        earlier = [one for one in list_runs(self._folder) if one.same_work == same and one.status != "finished"]
        if resumed and earlier:
            record = replace(earlier[-1], status="running", ended_at="", reason="")
            _end_line(self._folder / record.id / CURVE)
        else:
            record = RunRecord(
                id=short(digest_value([*same, started])),
                recipe=dict(recipe),
                recipe_digest=recipe_digest,
                data_digest=data_digest,
                base=dict(base),
                seed=seed,
                status="running",
                started_at=started,
                machine=describe_machine(),
                versions=library_versions(),
            )
        self._write(record)

    def log(self, step: int, values: Values) -> None:
        """Append a line to the curve."""
        path = self._folder / self._started().id / CURVE
        line = json.dumps({"step": step, **{name: _storable(value) for name, value in values.items()}})
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()

    def finish(self, metrics: Values, *, status: RunStatus = "finished", reason: str = "", adapter: str = "") -> None:
        """Write the figures and how the run ended."""
        stored = {name: _storable(value) for name, value in metrics.items()}
        ended = _timestamp(self._clock())
        record = replace(self._started(), metrics=stored, status=status, reason=reason, ended_at=ended)
        self._write(replace(record, adapter=adapter or record.adapter))

    def _started(self) -> RunRecord:
        if self._record is None:
            raise NotFound("No run was started, expected `start` before its figures; call it first.")
        return self._record

    def _write(self, record: RunRecord) -> None:
        self._record = record
        folder = self._folder / record.id
        folder.mkdir(parents=True, exist_ok=True)
        stored = {name: value for name, value in asdict(record).items() if name != "curve"}
        aside = folder / f"{RECORD}.new"
        aside.write_text(json.dumps(stored, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
        aside.replace(folder / RECORD)


def runs_folder(home: Path) -> Path:
    """Return where the records of a home folder are."""
    return home / "finetune" / "runs"


def list_runs(folder: Path) -> list[RunRecord]:
    """Return all records of a folder, oldest first; none where there is no folder. Raises Damaged naming a bad one."""
    records = [read_run(folder, path.parent.name) for path in folder.glob(f"*/{RECORD}")]
    return sorted(records, key=lambda record: (record.started_at, record.id))


def read_run(folder: Path, run_id: str) -> RunRecord:
    """Return one record with its curve. Raises NotFound where there is none and Damaged where it cannot be read."""
    path = folder / run_id / RECORD
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        return RunRecord(**value, curve=_read_curve(folder / run_id / CURVE))
    except FileNotFoundError as error:
        raise NotFound(
            f"No run {run_id!r} is in {folder}; `provenant finetune compare` lists those there are."
        ) from error
    except (ValueError, TypeError) as error:
        raise Damaged(f"{path} is no readable record of a run ({error}); move its folder away.") from error


def describe_machine() -> dict[str, str]:
    """Return what a figure was measured on: processor and, where torch sees one, the accelerator."""
    machine = {"system": platform.system(), "processor": platform.machine(), "python": platform.python_version()}
    try:
        import torch
    except ImportError:
        return machine
    if torch.cuda.is_available():
        machine |= {"device": torch.cuda.get_device_name(0), "devices": str(torch.cuda.device_count())}
    else:
        machine |= {"device": "cpu", "threads": str(torch.get_num_threads())}
    return machine


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that a run depends on; those not installed are left out."""
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _read_curve(path: Path) -> tuple[Values, ...]:
    """Return the lines of a curve; one may be cut where the run was killed, and is then left out."""
    if not path.exists():
        return ()
    lines = path.read_text(encoding="utf-8").split("\n")
    whole = [json.loads(line) for line in lines[:-1] if line and _is_whole(line)]
    latest: dict[int, dict[str, Any]] = {line["step"]: {} for line in whole}
    for line in whole:  # a resumed run writes steps again that came after its checkpoint
        latest[line["step"]] |= line
    return tuple(latest[step] for step in sorted(latest))


def _is_whole(line: str) -> bool:
    return line.startswith("{") and line.endswith("}")


def _end_line(path: Path) -> None:
    """End a line that a kill has cut, so that the next one stands by itself."""
    if path.exists() and not path.read_bytes().endswith(b"\n"):
        with path.open("a", encoding="utf-8") as file:
            file.write("\n")


def _storable(value: Any) -> Any:
    """Return a value that JSON holds: what is no number becomes its name."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
