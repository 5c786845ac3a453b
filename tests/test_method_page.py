"""The page of LoRA beside QLoRA: measured and predicted apart, nothing claimed that no result holds."""

from __future__ import annotations

import pytest

from benchmarks.evidence import METHODS, PLAN, read_plan, read_results
from benchmarks.evidence_page import Result
from benchmarks.measured import RESULTS
from benchmarks.method_page import CONTRASTS, measured_table, predicted_table, render_method_page
from finetune.plan_shape import load_constants
from governance.errors import BadInput


def result(**figures: object) -> Result:
    return Result.from_value({"figures": figures, "machine": "a card", "date": "2026-11-25"})


def test_the_page_in_the_docs_is_what_the_stored_results_and_the_plan_give() -> None:
    page = METHODS.read_text(encoding="utf-8")
    assert render_method_page(page, read_results(RESULTS, read_plan(PLAN).runs), load_constants()) == page


def test_what_no_result_holds_is_said_not_to_be_measured() -> None:
    lines = measured_table({})
    compared = [line for line, one in zip(lines[2:], CONTRASTS, strict=False) if one.lora]
    assert all(line.count("not measured") == 2 for line in compared)
    assert lines[-1] == "Nothing was measured yet."


def test_a_figure_of_several_seeds_carries_its_spread() -> None:
    found = measured_table({"adapter_quality": result(**{"qlora held f1": 0.7, "qlora held f1 spread": 0.0123})})
    line = next(line for line in found if "answer F1" in line)
    assert ".700, ± .012 over seeds | not measured" in line


def test_the_plan_tells_for_every_hardware_what_it_takes_and_why_the_other_does_not_fit() -> None:
    constants = load_constants()
    lines = predicted_table(constants)[2:]
    assert len(lines) == 2 * len(constants.hardware)
    on_l4 = next(line for line in lines if line.startswith("| llama-3.1-8b | l4 |"))
    assert "no: training needs" in on_l4
    assert on_l4.endswith("| QLoRA (nf4_dq) |")


def test_a_page_without_its_markers_is_refused() -> None:
    with pytest.raises(BadInput, match="needs the markers <!-- measured: begin -->"):
        render_method_page("no markers", {}, load_constants())
