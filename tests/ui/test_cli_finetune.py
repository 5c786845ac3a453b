"""The finetune commands: a plan without models, measurements on a tiny one, bad input as one sentence."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from finetune.adapters import write_adapter
from finetune.recipe import make_recipe
from finetune.runs import RunWriter, runs_folder
from governance.errors import BadInput, Damaged, NotFound, ProvenantError
from governance.models import open_model
from tests.finetune.served_tiny import TINY, tiny_examples, write_tiny_model
from tests.finetune.tiny_llama import adapter_model
from ui.cli import app

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["finetune", *map(str, arguments)])


def value(*arguments: object) -> dict[str, Any]:
    ran = run(*arguments, "--json")
    assert ran.exit_code == 0, (ran.output, ran.exception)
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def refusal(*arguments: object) -> ProvenantError:
    ran = run(*arguments)
    assert isinstance(ran.exception, ProvenantError), (ran.output, ran.exception)
    return ran.exception


@pytest.fixture
def models(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "models"
    write_tiny_model(root)
    monkeypatch.setenv("PROVENANT_MODELS", str(root))
    monkeypatch.setenv("PROVENANT_ANSWER__MODEL", TINY)
    return root


@pytest.fixture
def data(tmp_path: Path) -> Path:
    tiny_examples(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def adapter(models: Path, tmp_path: Path) -> Path:
    folder, manifest = open_model(models, TINY, "llm")
    recipe = make_recipe({"quantization": "float32", "rank": 4})
    factors = adapter_model(folder, recipe).adapter
    out = tmp_path / "adapter"
    write_adapter(out, factors, recipe, base=folder, base_manifest=manifest, data={"digest": "sha256:d"}, metrics={})
    return out


def test_the_commands_are_listed_in_the_order_of_the_work() -> None:
    listed = re.findall(r"^  (plan|data|train|quantize|compare|export) ", run("--help").stdout, re.MULTILINE)
    assert listed == ["plan", "data", "train", "quantize", "compare", "export"]


def test_plan_prints_a_recommendation_and_json(home: Path) -> None:
    found = value("plan", "--base", "llama-3.1-8b", "--hardware", "l4", "--price-hour", 1)
    assert found["recommended"]["method"] == "QLoRA"
    assert found["recommended"]["training"]["cost"] > 0
    assert "QLoRA" in run("plan").stdout


def test_plan_ranks_bases_by_the_scores_given(home: Path, tmp_path: Path) -> None:
    scores = tmp_path / "scores.json"
    scores.write_text('{"mistral-7b": 41.5}')
    asked = ("plan", "--base", "llama-3.1-8b", "--base", "mistral-7b", "--scores", scores)
    assert value(*asked)["recommended"]["base"] == "mistral-7b"
    scores.write_text("[]")
    assert isinstance(refusal(*asked), BadInput)


def test_plan_reads_lengths_from_a_data_folder(models: Path, data: Path) -> None:
    found = value("plan", "--base", TINY, "--hardware", "cpu", "--data", data)
    assert found["recommended"]["training"]["tokens"] > 0


@pytest.mark.parametrize(
    "wrong",
    [
        ("--base", "nothing"),
        ("--hardware", "abacus"),
        ("--risk", "reckless"),
        ("--cadence", "never"),
        ("--devices", 0),
        ("--targets", "head"),
        ("--memory-gib", -1),
    ],
)
def test_plan_refuses_what_it_does_not_know(home: Path, wrong: tuple[str, object]) -> None:
    assert isinstance(refusal("plan", *wrong), BadInput)


def test_compare_without_runs_says_how_to_get_some_and_lists_those_there_are(home: Path, tmp_path: Path) -> None:
    assert "No runs" in run("compare").stdout
    writer = RunWriter(runs_folder(home))
    begins = {"recipe": {"quantization": "bf16", "rank": 8}, "recipe_digest": "r", "data_digest": "d"}
    writer.start(**begins, base={"name": "tiny"}, seed=1, resumed=False)  # type: ignore[arg-type]
    writer.finish({"held_out_loss": 1.5})
    found = value("compare", "--mlflow", tmp_path / "mlflow")
    assert found["runs"][0]["method"] == "LoRA"
    assert list((tmp_path / "mlflow").glob("*/*/params/rank"))


def test_compare_measures_an_adapter_against_its_base(models: Path, data: Path, adapter: Path, tmp_path: Path) -> None:
    out = tmp_path / "result"
    asked = ("compare", "--data", data, "--adapter", adapter, "--held", "--limit", 3, "--device", "cpu", "--out", out)
    found = value(*asked)
    assert set(found["contestants"]) == {TINY, str(adapter)}
    assert json.loads((out / "result.json").read_text()) == found
    assert "general set" in (out / "result.md").read_text()


def test_compare_refuses_an_adapter_of_another_base_or_with_other_bytes(
    models: Path, data: Path, adapter: Path
) -> None:
    assert isinstance(refusal("compare", "--adapter", adapter), BadInput)
    (adapter / "recipe.json").write_text("{}")
    assert isinstance(refusal("compare", "--data", data, "--adapter", adapter), Damaged)
    assert isinstance(refusal("compare", "--data", data, "--adapter", adapter, "--base", "nothing"), NotFound)


def test_quantize_measures_and_writes_its_result(models: Path, data: Path, tmp_path: Path) -> None:
    out, traffic, general = tmp_path / "result", tmp_path / "traffic.jsonl", tmp_path / "general.txt"
    traffic.write_text('{"question": "what is the limit for thing 3?"}\n')
    general.write_text("A long paragraph about nothing in particular, which goes on for more than eighty signs.")
    asked = ("quantize", "--data", data, "--level", "nf4_dq", "--limit", 3, "--answers", 2, "--calibration", 4)
    found = value(*asked, "--traffic", traffic, "--general", general, "--device", "cpu", "--out", out)
    assert found["levels"]["nf4_dq"]["domain"]["kl"] > 0
    assert "Chosen on the calibration set" in (out / "result.md").read_text()


def test_quantize_refuses_a_folder_without_examples_and_traffic_without_questions(
    models: Path, data: Path, tmp_path: Path
) -> None:
    assert isinstance(refusal("quantize", "--data", tmp_path), BadInput)
    assert isinstance(refusal("quantize", "--data", data, "--traffic", data / "manifest.json"), BadInput)
    assert isinstance(refusal("quantize", "--data", data, "--calibration", 0), BadInput)


def test_export_writes_a_checked_model(models: Path, data: Path, adapter: Path, tmp_path: Path) -> None:
    found = value("export", "--adapter", adapter, "--data", data, "--out", tmp_path / "out", "--limit", 2)
    assert found["forms"]["merged"]["fidelity"]["kl"] < 0.01
    assert (tmp_path / "out" / "merged" / "model.safetensors").is_file()
    again = refusal("export", "--adapter", adapter, "--data", data, "--out", tmp_path / "out")
    assert "there already" in str(again)
    assert isinstance(refusal("export", "--adapter", adapter, "--data", data, "--out", data, "--form", "x"), BadInput)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ['quantization = "nf4"', 'quantization = "float32"\noptimizer = "adamw8bit"'])
def test_train_says_nothing_on_stderr_but_its_own_lines(models: Path, data: Path, tmp_path: Path, recipe: str) -> None:
    (tmp_path / "recipe.toml").write_text(f"{recipe}\nrank = 4\npack_tokens = 2048\ntokens_per_step = 2048\n")
    asked = ("--data", data, "--out", tmp_path / "out", "--recipe", tmp_path / "recipe.toml", "--max-steps", 2)
    command = [sys.executable, "-c", "from ui.cli import main; main()", "finetune", "train", *map(str, asked)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)  # imports in a new process
    assert ran.returncode == 0, ran.stderr
    assert re.fullmatch(r"(step \d/2  loss .*\n)+after step 2: held out loss .*\n", ran.stderr), ran.stderr
    assert ran.stdout.startswith("The adapter of run ")


def test_train_refuses_a_folder_without_examples_or_with_some_to_measure_on_only(models: Path, tmp_path: Path) -> None:
    assert isinstance(refusal("train", "--data", tmp_path, "--out", tmp_path / "out"), BadInput)
    tiny_examples(tmp_path / "measured", train=0)
    assert "0 training example" in str(refusal("train", "--data", tmp_path / "measured", "--out", tmp_path / "out"))
