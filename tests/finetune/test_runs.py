"""Records of runs: nothing is lost by a kill, a resumed run stays one run, and MLflow finds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from finetune.compare import compare_runs
from finetune.compare_text import runs_text
from finetune.runs import RunWriter, list_runs, read_run, runs_folder
from finetune.runs_mlflow import export_runs
from governance.errors import BadInput, Damaged, NotFound

BEGINS: dict[str, Any] = {
    "recipe": {"quantization": "nf4_dq", "rank": 16, "seed": 0},
    "recipe_digest": "sha256:r",
    "data_digest": "sha256:d",
    "base": {"name": "tiny", "digest": "sha256:b"},
}


def written(folder: Path, *, seed: int = 0, loss: float = 1.0, at: float = 1000.0) -> str:
    writer = RunWriter(folder, clock=lambda: at + seed)
    writer.start(**BEGINS | {"recipe": {**BEGINS["recipe"], "seed": seed}}, seed=seed, resumed=False)
    writer.log(1, {"loss": loss + 1})
    writer.log(2, {"loss": loss})
    writer.finish({"held_out_loss": loss, "steps": 2}, adapter="out/adapter")
    return writer.run_id


def test_a_run_comes_back_as_it_was_told(tmp_path: Path) -> None:
    record = read_run(tmp_path, written(tmp_path))
    assert record.status == "finished"
    assert [line["loss"] for line in record.curve] == [2.0, 1.0]
    assert record.metrics == {"held_out_loss": 1.0, "steps": 2}
    assert record.adapter == "out/adapter"
    assert record.versions["torch"]
    assert list_runs(tmp_path) == [record]
    assert list_runs(runs_folder(tmp_path / "nothing")) == []


def test_a_killed_run_keeps_its_curve_and_goes_on_in_one_record(tmp_path: Path) -> None:
    killed = RunWriter(tmp_path)
    killed.start(**BEGINS, seed=0, resumed=False)
    killed.log(1, {"loss": 3.0})
    killed.log(2, {"loss": 9.0})
    with (tmp_path / killed.run_id / "curve.jsonl").open("a") as file:
        file.write('{"step": 3, "lo')
    assert [line["step"] for line in read_run(tmp_path, killed.run_id).curve] == [1, 2]
    again = RunWriter(tmp_path)
    (tmp_path / killed.run_id / "curve.jsonl").write_text('{"step": 1, "loss": 3.0}\n{"step": 2, "loss": 9.0}\n')
    again.start(**BEGINS, seed=0, resumed=True)
    again.log(2, {"loss": 2.0})
    again.finish({})
    assert again.run_id == killed.run_id
    assert [line["loss"] for line in read_run(tmp_path, again.run_id).curve] == [3.0, 2.0]


def test_a_line_cut_by_a_kill_does_not_spoil_what_a_resumed_run_appends(tmp_path: Path) -> None:
    killed = RunWriter(tmp_path)
    killed.start(**BEGINS, seed=0, resumed=False)
    killed.log(1, {"loss": 3.0})
    with (tmp_path / killed.run_id / "curve.jsonl").open("a") as file:
        file.write('{"step": 2, "lo')
    again = RunWriter(tmp_path)
    again.start(**BEGINS, seed=0, resumed=True)
    again.log(2, {"loss": 2.0})
    assert [line["loss"] for line in read_run(tmp_path, again.run_id).curve] == [3.0, 2.0]


def test_a_nan_is_kept_as_what_it_is_and_counts_as_a_spike(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path)
    writer.start(**BEGINS, seed=0, resumed=False)
    writer.log(1, {"loss": float("nan")})
    writer.finish({}, status="failed", reason="the loss is no number")
    record = read_run(tmp_path, writer.run_id)
    assert record.curve[0]["loss"] == "nan"
    assert record.loss_spikes() == 1


def test_a_record_counts_the_spikes_of_its_curve(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path)
    writer.start(**BEGINS, seed=0, resumed=False)
    losses = [1.0] * 40 + [4.0] * 20 + [1.0] * 40
    for step, loss in enumerate(losses, start=1):
        writer.log(step, {"loss": loss})
    writer.log(len(losses), {"held_out_loss": 9.0})
    assert read_run(tmp_path, writer.run_id).loss_spikes() == 1


def test_an_absent_or_damaged_record_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nothing"):
        read_run(tmp_path, "nothing")
    run = written(tmp_path)
    (tmp_path / run / "run.json").write_text("{")
    with pytest.raises(Damaged, match=run):
        list_runs(tmp_path)


def test_runs_that_differ_by_seed_make_one_row_with_a_spread(tmp_path: Path) -> None:
    for seed, loss in enumerate((1.0, 1.2, 1.4)):
        written(tmp_path, seed=seed, loss=loss)
    rows = compare_runs(list_runs(tmp_path))
    assert len(rows) == 1
    assert rows[0]["method"] == "QLoRA"
    assert rows[0]["seeds"] == [0, 1, 2]
    assert rows[0]["figures"]["held_out_loss"]["spread"] == pytest.approx(0.2)
    assert "1.2 ± 0.2" in runs_text(rows)


def test_runs_are_written_as_mlflow_lays_them_out(tmp_path: Path) -> None:
    written(tmp_path / "runs")
    store = tmp_path / "store"
    assert export_runs(list_runs(tmp_path / "runs"), store) == 1
    assert export_runs(list_runs(tmp_path / "runs"), store) == 1
    (meta,) = store.glob("*/*/meta.yaml")
    assert '"status": 3' in meta.read_text() or "status: 3" in meta.read_text()
    assert (meta.parent / "params" / "rank").read_text() == "16"
    assert (meta.parent / "metrics" / "loss").read_text().split("\n")[1].endswith("1.0 2")
    with pytest.raises(BadInput, match="is a file"):
        export_runs([], meta)
