"""The evidence page: rendered from stored results alone, marked where a figure is of another commit or machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.evidence import PAGE, PLAN, Plan, chosen, of_rows, read_plan, read_results
from benchmarks.evidence_page import Result, Row, figure_at, render_page, table_line
from benchmarks.measured import RESULTS, figure, figures_of_evaluation, shorten, write_result
from governance.errors import BadInput

BASE = ("abc1234", "EPYC, 2 cores, 24 GiB")
PAGE_TEXT = "".join(
    f"kept {name}\n<!-- {name}: begin -->\nold\n<!-- {name}: end -->\n" for name in ("table", "injection", "runs")
)


def result(figures: dict[str, Any], *, commit: str = "abc1234", machine: str = BASE[1], **more: Any) -> Result:
    common = {"figures": figures, "machine": machine, "versions": {"numpy": "2.4"}, "commit": commit}
    return Result.from_value({**common, "date": "2026-11-25", "command": "python -m x", **more})


def row(**changes: Any) -> Row:
    return Row.from_value({"area": "Ranking", "benchmark": "SciFact", "ours": ["scifact", "ndcg@10"], **changes})


def test_a_row_shows_the_figure_its_interval_and_that_the_goal_is_met() -> None:
    results = {"scifact": result({"ndcg@10": figure(0.7512, {"low": 0.7, "high": 0.8}, n=300)})}
    line = table_line(row(at_least=0.75), results, BASE, area="Ranking")
    assert "| .751 [.700, .800] | 300 | >= .750 | met |" in line


def test_a_missed_goal_is_said_in_bold() -> None:
    results = {"scifact": result({"ndcg@10": 0.74})}
    assert "**missed**" in table_line(row(at_least=0.75), results, BASE, area="")
    assert "| <= 2.0 % | **missed** |" in table_line(
        row(at_most=0.02, style="percent", ours=["scifact", "ndcg@10"]), results, BASE, area=""
    )


def test_a_row_without_a_result_says_so_and_claims_nothing() -> None:
    line = table_line(row(at_least=0.75, peer=["peer", "ndcg@10"]), {}, BASE, area="")
    assert line.count("not measured") == 2
    assert "met" not in line


@pytest.mark.parametrize("other", [{"commit": "fff0000"}, {"machine": "another"}])
def test_a_figure_of_another_commit_or_machine_carries_its_date(other: dict[str, str]) -> None:
    line = table_line(row(), {"scifact": result({"ndcg@10": 0.7}, **other)}, BASE, area="")
    assert f"(2026-11-25, {next(iter(other.values()))})" in line
    assert "2026" not in table_line(row(), {"scifact": result({"ndcg@10": 0.7})}, BASE, area="")


def test_a_ratio_is_taken_of_two_figures_and_absent_where_one_is() -> None:
    results = {"speed": result({"ours": {"pages": 18.0}, "peer": {"pages": 9.0}})}
    assert figure_at(("speed", "ours", "pages"), results, ("speed", "peer", "pages")) == {"value": 2.0}
    assert figure_at(("speed", "ours", "pages"), results, ("speed", "nobody", "pages")) == {}


def test_rendering_replaces_the_marked_blocks_only_and_is_the_same_again() -> None:
    results = {"scifact": result({"ndcg@10": 0.7})}
    page = render_page(PAGE_TEXT, [row()], results)
    assert "old" not in page
    assert all(f"kept {name}" in page for name in ("table", "injection", "runs"))
    assert render_page(page, [row()], results) == page


def test_a_page_without_a_marker_is_refused() -> None:
    with pytest.raises(BadInput, match="runs: begin"):
        render_page(PAGE_TEXT.replace("<!-- runs: begin -->", ""), [row()], {})


def test_the_injection_table_has_a_line_for_each_type_of_either_path() -> None:
    types = [
        {
            "type": "Clickbait",
            "tasks": 3,
            "obeyed_unguarded": 1,
            "obeyed_guarded": 0,
            "f1_clean": 0.5,
            "f1_guarded": 0.4,
        }
    ]
    page = render_page(PAGE_TEXT, [], {"injection_model": result({}, by_type=types)})
    assert "| Clickbait |  |  | 1 of 3 | 0 of 3 | 0.50 | 0.40 |" in page


def test_every_row_names_a_run_and_a_row_that_does_not_is_refused(tmp_path: Path) -> None:
    assert len(read_plan(PLAN).rows) > 40
    path = tmp_path / "plan.toml"
    path.write_text('[[run]]\nname = "a"\ncommand = "x"\n[[row]]\narea = "A"\nbenchmark = "B"\nours = ["b", "c"]\n')
    with pytest.raises(BadInput, match="names the run 'b'"):
        read_plan(path)


def test_runs_by_hand_are_never_started_unless_named() -> None:
    plan = read_plan(PLAN)
    assert not any(run.by_hand for run in chosen(plan, ["all"]))
    assert [run.name for run in chosen(plan, ["gpu_decoding"])] == ["gpu_decoding"]
    with pytest.raises(BadInput, match="no run 'nothing'"):
        chosen(plan, ["nothing"])


def test_a_result_written_is_read_again(tmp_path: Path) -> None:
    write_result(tmp_path / "one.json", {"ndcg@10": figure(0.7, n=3)}, by_type=[1])
    read = read_results(tmp_path, ["one", "absent"])
    assert list(read) == ["one"]
    assert read["one"].figures["ndcg@10"] == {"value": 0.7, "n": 3}
    assert read["one"].more == {"by_type": [1]}
    assert read["one"].date


def test_a_damaged_result_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text('{"figures": {')
    with pytest.raises(BadInput, match=r"one\.json is not a result"):
        read_results(tmp_path, ["one"])


def test_evaluated_figures_keep_their_intervals_and_leave_lists_out() -> None:
    evaluated = {
        "questions": 2,
        "mrr": 0.5,
        "counts": {"mrr": 2},
        "intervals": {"mrr": {"low": 0.1, "high": 0.9}},
        "curve": [],
    }
    figures = figures_of_evaluation(evaluated)
    assert figures["mrr"] == {"value": 0.5, "low": 0.1, "high": 0.9, "n": 2}
    assert "curve" not in figures


def test_a_command_names_no_folder_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVIDENCE_DATA", "/somewhere/data")
    assert shorten("python -m x /somewhere/data/ir --out /somewhere/x.json") == "python -m x DATA/ir"


def test_rows_of_the_gpu_benchmark_become_figures() -> None:
    rows: list[dict[str, Any]] = [
        {"environment": {"torch": "2.11", "device": "a card"}},
        {"weights": "NF4", "engine": "ours", "batch": 1, "decode_tok_s": 200.0, "rounds_agree": True},
    ]
    value = of_rows(rows)
    assert value["machine"] == {"gpu": "a card"}
    assert value["figures"] == {"NF4, ours, batch 1": {"batch": 1, "decode_tok_s": 200.0}}


def test_the_page_is_what_the_stored_results_render() -> None:
    plan: Plan = read_plan(PLAN)
    page = PAGE.read_text(encoding="utf-8")
    assert render_page(page, plan.rows, read_results(RESULTS, plan.runs)) == page


def test_stored_results_state_machine_versions_date_and_command() -> None:
    for path in RESULTS.glob("*.json"):
        value = json.loads(path.read_text(encoding="utf-8"))
        assert all(value[name] for name in ("figures", "machine", "versions", "date", "command")), path.name
        assert "/tmp" not in value["command"], path.name
