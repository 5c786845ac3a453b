"""The plan: sizes add up, limits hold, and the memory is that measured."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from finetune.base_folder import FolderSource
from finetune.base_weights import Sizes
from finetune.plan import Limits, Plan, PlanRequest, make_plan
from finetune.plan_memory import Workload, training_memory
from finetune.plan_shape import GIB, BaseShape, Constants, find_base, load_constants, read_shape_file
from finetune.plan_text import plan_text, plan_value
from finetune.plan_time import Lengths, ServingLoad, tokens_second
from finetune.recipe import Recipe, make_recipe
from governance.errors import BadInput, NotFound
from tests.finetune.tiny_llama import write_tiny_llama

MEASURED = Path(__file__).parents[2] / "benchmarks" / "results" / "train_memory.json"


@pytest.fixture(scope="module")
def constants() -> Constants:
    return load_constants()


def request(constants: Constants, base: str = "llama-3.1-8b", hardware: str = "h100", **changes: Any) -> PlanRequest:
    asked = PlanRequest(
        bases=(constants.bases[base],),
        hardware=constants.hardware[hardware],
        serving=constants.hardware[hardware],
        lengths=Lengths(1072, 2400, 87, 10_000, 1335),
        load=ServingLoad(1500, 128, 4),
    )
    return replace(asked, **changes)


def plan(constants: Constants, **changes: Any) -> Plan:
    return make_plan(request(constants, **changes), constants)


def test_parameters_are_those_of_the_published_shape(constants: Constants) -> None:
    assert constants.bases["llama-3.1-8b"].parameters == 8_030_261_248
    assert constants.bases["smollm2-135m-instruct"].parameters == 134_515_008
    assert constants.bases["llama-3.1-8b"].adapter_parameters(16, "all") == 41_943_040


def test_adapter_of_the_embedded_model_fits_its_limit(constants: Constants) -> None:
    few = Lengths(600, 900, 20, 500)
    limits = Limits(adapter_megabytes=6)
    found = plan(constants, base="smollm2-135m-instruct", hardware="cpu", limits=limits, lengths=few)
    assert found.recommended is not None
    assert found.recommended.adapter_bytes <= 6e6
    assert found.recommended.recipe.rank < 16
    assert any("keeps the adapter in its limits" in reason for reason in found.reasons)


def test_a_shape_is_read_from_a_config_and_a_missing_size_is_named(tmp_path: Path, constants: Constants) -> None:
    shape = constants.bases["llama-3.1-8b"]
    config: dict[str, Any] = {
        "hidden_size": 4096,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "intermediate_size": 14336,
        "vocab_size": 128256,
        "max_position_embeddings": 131072,
    }
    folder = tmp_path / "llama-3.1-8b"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    assert find_base(str(folder), constants, tmp_path) == shape
    del config["vocab_size"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(BadInput, match="vocab_size"):
        read_shape_file(folder / "config.json")
    (folder / "config.json").write_text("no json")
    with pytest.raises(BadInput, match=r"no readable config\.json"):
        read_shape_file(folder / "config.json")


def test_the_plan_and_training_read_the_same_sizes(tmp_path: Path) -> None:
    folder = write_tiny_llama(tmp_path, num_key_value_heads=1, tie_word_embeddings=True)
    planned = read_shape_file(folder / "base" / "config.json")
    trained = FolderSource(folder, "bf16", "cpu").shape
    assert {each.name: getattr(planned, each.name) for each in fields(Sizes)} == {
        each.name: getattr(trained, each.name) for each in fields(Sizes)
    }
    assert (planned.key_heads, planned.tied, planned.family) == (1, True, "llama")
    assert planned.trains


def test_a_text_model_inside_another_is_planned_for_and_not_trained(tmp_path: Path) -> None:
    config = {"model_type": "gemma3_text", "head_dim": 256, "vocab_size": 262144, "max_position_embeddings": 32768}
    config |= {"hidden_size": 640, "num_hidden_layers": 18, "num_attention_heads": 4, "num_key_value_heads": 1}
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"model_type": "gemma3", "text_config": {**config, "intermediate_size": 2048}}))
    shape = read_shape_file(path)
    assert (shape.queries, shape.keys, shape.family, shape.trains) == (1024, 256, "gemma3_text", False)
    path.write_text("[]")
    with pytest.raises(BadInput, match=r"no readable config\.json"):
        read_shape_file(path)


def test_an_unknown_base_is_refused_with_those_known(constants: Constants, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="smollm2-135m-instruct"):
        find_base("nothing", constants, tmp_path)


def test_less_memory_keeps_fewer_activations(constants: Constants) -> None:
    roomy, tight = plan(constants), plan(constants, hardware="l4")
    assert roomy.recommended is not None
    assert tight.recommended is not None
    assert roomy.recommended.recipe.keep_activations == "all"
    assert tight.recommended.recipe.keep_activations == "none"
    assert tight.recommended.method == "QLoRA"
    assert any("LoRA" in reason and "GiB" in reason for reason in tight.reasons if reason.startswith("Not "))


def test_nothing_is_recommended_where_nothing_fits_and_the_way_out_is_named(constants: Constants) -> None:
    small = replace(constants.hardware["l4"], memory_gib=4.0)
    found = make_plan(replace(request(constants), hardware=small), constants)
    assert found.recommended is None
    assert "smaller base" in found.reasons[0]


def test_a_latency_target_and_a_cadence_refuse_what_misses_them(constants: Constants) -> None:
    slow = plan(constants, latency_seconds=0.01)
    assert slow.recommended is None
    assert all(any("target" in reason for reason in option.refused) for option in slow.options)
    often = plan(constants, cadence="hourly", lengths=Lengths(1072, 2400, 87, 1_000_000, 1335))
    assert all(any("hourly" in reason for reason in option.refused) for option in often.options)


def test_many_users_on_a_gpu_are_served_in_half_precision(constants: Constants) -> None:
    few, many = plan(constants), plan(constants, load=ServingLoad(1500, 128, 32))
    assert few.recommended is not None
    assert many.recommended is not None
    assert (few.recommended.method, many.recommended.method) == ("QLoRA", "LoRA")


def test_a_scored_base_comes_before_an_unscored_one(constants: Constants) -> None:
    scored = replace(constants.bases["mistral-7b"], score=40.0)
    found = plan(constants, bases=(constants.bases["llama-3.1-8b"], scored))
    assert found.options[0].base.name == "mistral-7b"
    assert "not measured" in plan_text(found)


@pytest.mark.parametrize(
    "wrong",
    [{"devices": 0}, {"load": ServingLoad(1500, 0, 4)}, {"lengths": Lengths(900, 100, 9, 10)}, {"bases": ()}],
)
def test_a_request_that_makes_no_sense_is_refused(constants: Constants, wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        plan(constants, **wrong)


def test_a_plan_is_one_json_value(constants: Constants) -> None:
    value = json.loads(json.dumps(plan_value(plan(constants, price_hour=2.5))))
    assert value["recommended"]["training"]["cost"] > 0
    assert value["recommended"]["training_bytes"]["allocated"] < value["recommended"]["training_bytes"]["total"]


def _on_small_cards(constants: Constants, memory_gib: float, devices: int, **changes: Any) -> Plan:
    card = replace(constants.hardware["l4"], memory_gib=memory_gib)
    few = Lengths(600, 900, 20, 500)
    asked = replace(request(constants, devices=devices, lengths=few), hardware=card)
    return make_plan(replace(asked, **changes), constants)


def test_a_spread_base_is_offered_where_nothing_else_fits_with_its_cost_in_words(constants: Constants) -> None:
    roomy = _on_small_cards(constants, 24.0, 4)
    assert not any(option.recipe.shard_base for option in roomy.options)
    alone = _on_small_cards(constants, 12.0, 1)
    assert alone.recommended is None

    tight = _on_small_cards(constants, 12.0, 4)
    assert tight.recommended is not None
    assert tight.recommended.recipe.shard_base
    assert tight.recommended.memory.total < min(option.memory.total for option in alone.options)
    said = [reason for reason in tight.reasons if "shard_base" in reason]
    assert len(said) == 1
    assert "4 devices" in said[0]
    assert "not measured on GPUs" in said[0]
    assert all(option.refused for option in tight.options if not option.recipe.shard_base)
    assert sum("held whole" in reason for reason in tight.reasons) == len(alone.options)
    assert "| spread |" in plan_text(tight)


def test_where_a_spread_base_does_not_fit_either_the_plan_says_so(constants: Constants) -> None:
    found = _on_small_cards(constants, 4.0, 4)
    assert found.recommended is None
    assert "spread over 4 devices" in found.reasons[0]
    assert "spread" not in _on_small_cards(constants, 4.0, 1).reasons[0]


def test_a_spread_base_that_is_asked_for_is_planned(constants: Constants) -> None:
    found = _on_small_cards(constants, 24.0, 4, recipe=Recipe(shard_base=True))
    assert found.recommended is not None
    assert all(option.recipe.shard_base for option in found.options)
    assert any("not measured on GPUs" in reason for reason in found.reasons)
    alone = _on_small_cards(constants, 24.0, 1, recipe=Recipe(shard_base=True))
    assert any("shard_base changes nothing on one device" in reason for reason in alone.reasons)


def test_a_base_is_not_spread_where_a_resident_copy_is_asked_for(constants: Constants) -> None:
    found = _on_small_cards(constants, 12.0, 4, recipe=Recipe(resident_copy=True))
    assert not any(option.recipe.shard_base for option in found.options)
    assert "spread" not in found.reasons[0]


@pytest.mark.parametrize("quantization", ["nf4", "nf4_dq", "bf16"])
def test_memory_of_sharded_weights_falls_with_devices(constants: Constants, quantization: str) -> None:
    shape, work = constants.bases["llama-3.1-8b"], Workload(8192, 0.065)
    recipe = make_recipe({"shard_base": True, "quantization": quantization})
    one, two, eight = (training_memory(shape, recipe, work, constants.memory, devices=count) for count in (1, 2, 8))
    whole = training_memory(shape, replace(recipe, shard_base=False), work, constants.memory, devices=8)
    assert one == whole
    dense = 2.0 * shape.dense_parameters
    stored = {"nf4": 4.5, "nf4_dq": 4.126953125, "bf16": 16}[quantization] / 8 * shape.linear_parameters
    gathered = stored / shape.linear_parameters * 2 * 4096 * 14336  # the gate and up product is the largest
    for memory, count in ((two, 2), (eight, 8)):
        assert memory.weights + memory.quantization_state == pytest.approx(dense + stored / count)
        assert memory.activations == one.activations
        buffers = training_memory(shape, replace(recipe, quantization="nf4", shard_base=False), work, constants.memory)
        assert memory.workspaces == pytest.approx(buffers.workspaces + gathered)


@pytest.mark.parametrize(
    ("base", "changes", "measured"),
    [
        ("llama-3.1-8b", {"quantization": "nf4"}, 17_010),
        ("llama-3.1-8b", {"quantization": "nf4", "resident_copy": True}, 17_796),
        ("llama-3.1-8b", {"quantization": "nf4_dq", "keep_activations": "none"}, 12_833),
        ("llama-3.1-8b", {"quantization": "nf4", "keep_activations": "selective"}, 15_301),
        ("llama-3.1-8b", {"quantization": "bf16"}, 17_728),
        ("smollm2-135m-instruct", {"quantization": "nf4_dq", "rank": 8}, 28_579),
        ("smollm2-135m-instruct", {"quantization": "bf16", "rank": 8}, 51_753),
    ],
)
def test_speed_is_near_what_was_measured(
    constants: Constants, base: str, changes: dict[str, Any], measured: int
) -> None:
    """Tokens a second of benchmarks/train_speed.py on one H100, 2026-11-25, packs of 8192 tokens."""
    work = Workload(8192, 0.065)
    card = constants.hardware["h100"]
    shape = constants.bases[base]
    speed = tokens_second(shape, make_recipe(changes), work, card, constants.speed, document_tokens=1335)
    assert speed == pytest.approx(measured, rel=0.1)


def test_memory_is_within_a_tenth_of_what_was_measured(constants: Constants, tmp_path: Path) -> None:
    """At least six configurations, measured by the trainer's benchmark on a GPU."""
    if not MEASURED.is_file():
        pytest.skip("no peaks of training have been measured yet (benchmarks/results/train_memory.json)")
    figures = json.loads(MEASURED.read_text(encoding="utf-8"))["figures"]
    rows = {name: row for name, row in figures.items() if "peak_gib" in row}
    assert len(rows) >= 6
    wrong = {}
    for name, row in rows.items():
        predicted = _predicted_gib(row, constants)
        if predicted != pytest.approx(row["peak_gib"], rel=0.1):
            wrong[name] = (round(predicted, 2), row["peak_gib"])
    assert not wrong


def _predicted_gib(row: dict[str, Any], constants: Constants) -> float:
    shape = constants.bases[row["base"]] if row["base"] in constants.bases else BaseShape(**row["shape"])
    recipe = make_recipe(row["recipe"])
    work = Workload(row["recipe"]["pack_tokens"], row["completion_share"])
    return training_memory(shape, recipe, work, constants.memory).allocated / GIB
