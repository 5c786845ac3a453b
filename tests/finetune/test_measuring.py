"""Answering, quantizing, comparing and exporting a tiny model: the same engine as for a large one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from assistant.generation import Message
from assistant.verbatim import is_verbatim
from finetune.adapters import write_adapter
from finetune.answering import Answerer, Prompt
from finetune.compare import Contest, Contestant, compare, run_contestant
from finetune.compare_text import comparison_text, quantization_text
from finetune.examples import REFUSAL, ExampleSet, example_messages
from finetune.export import ExportRequest, export_adapter
from finetune.export_gguf import write_gguf
from finetune.general import read_general
from finetune.loading import load_base, with_adapter
from finetune.quantize import (
    BaseModel,
    QuantizeRequest,
    calibration_digest,
    calibration_set,
    encode_text,
    measure_quantization,
)
from finetune.quantize_levels import Swapped, find_level, levels
from finetune.quantize_measure import measure_texts, summary
from finetune.quantize_traffic import distances, traffic_warnings
from finetune.recipe import make_recipe
from finetune.refusal import fit_threshold
from finetune.scores import shown_texts
from governance.errors import BadInput, NotFound, ProvenantError
from governance.models import open_model
from tests.finetune.served_tiny import TINY, tiny_examples, write_tiny_model
from tests.finetune.tiny_llama import adapter_model

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    write_tiny_model(root)
    return root


@pytest.fixture(scope="module")
def base(models: Path) -> BaseModel:
    return load_base(models, TINY, device="cpu")


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> ExampleSet:
    return tiny_examples(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def adapter(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter of random numbers, as training writes one."""
    folder, manifest = open_model(models, TINY, "llm")
    recipe = make_recipe({"quantization": "float32", "rank": 4})
    factors = adapter_model(folder, recipe).adapter
    out = tmp_path_factory.mktemp("trained") / "adapter"
    return write_adapter(
        out, factors, recipe, base=folder, base_manifest=manifest, data={"digest": "sha256:d"}, metrics={}
    ).folder


def prompts(examples: ExampleSet) -> list[Prompt]:
    return [Prompt(example_messages(one), shown_texts(one)) for one in examples.held_out]


def nothing(share: float, text: str) -> None:
    assert 0 <= share <= 1
    assert text


def test_answers_in_a_batch_are_those_of_one_at_a_time_and_of_the_model_itself(
    base: BaseModel, examples: ExampleSet
) -> None:
    together = Answerer(base.model, base.tokenizer, held=False, batch=4, max_new_tokens=8)
    alone = Answerer(base.model, base.tokenizer, held=False, batch=1, max_new_tokens=8)
    found = [one.text for one in together.answer(prompts(examples), nothing)]
    assert found == [one.text for one in alone.answer(prompts(examples))]
    assert found[0] == _generated(base, prompts(examples)[0].messages)


def _generated(base: BaseModel, messages: Sequence[Message]) -> str:
    turns = [{"role": one.role, "content": one.content} for one in messages]
    text = base.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    ids = base.tokenizer(text, add_special_tokens=False, return_tensors="pt")
    out = base.model.generate(**ids, max_new_tokens=8, do_sample=False, pad_token_id=2)
    return str(base.tokenizer.decode(out[0, ids["input_ids"].shape[1] :], skip_special_tokens=True)).strip()


def test_held_answers_of_a_random_model_are_runs_of_the_passages_or_the_refusal(
    base: BaseModel, examples: ExampleSet
) -> None:
    answerer = Answerer(base.model, base.tokenizer, batch=4, max_new_tokens=60)
    for prompt, said in zip(prompts(examples), answerer.answer(prompts(examples)), strict=True):
        assert said.text == REFUSAL or is_verbatim(said.text, prompt.passages)
        assert 0 < said.confidence <= 1


def test_the_threshold_decides_who_refuses(base: BaseModel, examples: ExampleSet) -> None:
    for threshold, refused in ((-1e9, True), (1e9, False)):
        answerer = Answerer(base.model, base.tokenizer, max_new_tokens=60, refuse_above=threshold)
        assert all((one.text == REFUSAL) is refused for one in answerer.answer(prompts(examples)))


@pytest.mark.parametrize("name", sorted(levels()))
def test_a_level_changes_only_what_it_may_and_the_weights_come_back(base: BaseModel, name: str) -> None:
    swapped = Swapped(base.model)
    before = {key: value.clone() for key, value in base.model.state_dict().items()}
    kept = next(iter(swapped.modules))
    swapped.use(find_level(name), keep=[kept])
    changed = {key for key, value in base.model.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {f"{module}.weight" for module in swapped.modules if module != kept}
    assert swapped.bits(find_level(name), keep=[kept]) > swapped.bits(find_level(name))
    swapped.use(None)
    assert all(torch.equal(value, before[key]) for key, value in base.model.state_dict().items())


def test_an_nf4_level_computes_what_bitsandbytes_computes(base: BaseModel, models: Path) -> None:
    real = load_base(models, TINY, weights="nf4_dq", device="cpu").model
    for module in real.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    swapped = Swapped(base.model)
    swapped.use(find_level("nf4_dq"))
    ids = torch.arange(3, 60)[None]
    with torch.inference_mode():
        difference = (base.model(input_ids=ids).logits - real(input_ids=ids).logits).abs().max()
    swapped.use(None)
    assert difference < 1e-3


def test_an_unknown_level_is_refused_with_those_known() -> None:
    with pytest.raises(BadInput, match="nf4_dq"):
        find_level("q3")


def test_kl_of_a_model_with_itself_is_nothing(base: BaseModel) -> None:
    texts = [encode_text(base.tokenizer, "a", "the limit for thing is policy question passages not in documents")]
    from finetune.quantize_measure import logs_of

    figures = summary(measure_texts(base.model, texts, [logs_of(base.model, one) for one in texts]))
    assert figures["kl"] == pytest.approx(0, abs=1e-9)
    assert figures["perplexity"] > 1


def test_quantization_is_measured_sliced_and_chosen(base: BaseModel, examples: ExampleSet) -> None:
    request = QuantizeRequest(levels=("nf4_dq", "int8"), calibration=6, held_out=9, answers=3)
    general = [("a", "the question is in the documents and the policy is not in the passages " * 3)]
    found = measure_quantization(base, examples, general, request, nothing)
    assert found["levels"]["nf4_dq"]["domain"]["kl"] > found["levels"]["int8"]["domain"]["kl"] > 0
    assert found["levels"]["reference"]["domain"]["kl"] == pytest.approx(0, abs=1e-6)
    assert set(found["slices"]["nf4_dq"]["by"]) == {"kind", "origin", "length"}
    assert len(found["suffering"]["nf4_dq"]) == 5
    assert set(found["selection"]["sensitivity"]) == {
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj",
    }  # fmt: skip
    assert "unquantized weights, as published" in quantization_text(found)
    json.dumps(found)


def test_another_calibration_set_than_the_pinned_one_is_refused(examples: ExampleSet) -> None:
    request = QuantizeRequest(calibration=4)
    digest = calibration_digest(calibration_set(examples, request))
    assert calibration_set(examples, QuantizeRequest(calibration=4, pinned=digest))
    with pytest.raises(BadInput, match="pinned"):
        calibration_set(examples, QuantizeRequest(calibration=5, pinned=digest))


def test_calibration_unlike_the_traffic_is_warned_of() -> None:
    ours = ["What is the limit for hotels in the travel policy?"] * 30
    theirs = ["battery voltage of the cordless drill driver DX-30 " * 5] * 30
    assert traffic_warnings(ours, ours) == []
    assert distances(ours, ours) == {"length": 0, "words": pytest.approx(0)}
    assert len(traffic_warnings(ours, theirs)) == 2
    assert "too few" in traffic_warnings(ours[:3], ours)[0]
    assert "No traffic" in traffic_warnings(ours, [])[0]


def test_a_base_and_its_adapter_are_compared_on_the_same_examples(
    base: BaseModel, models: Path, adapter: Path, examples: ExampleSet
) -> None:
    contest = Contest(examples.held_out, read_general()[:3], held=True, without_passages=True, max_new_tokens=40)
    first = run_contestant(Contestant("base", base), contest, nothing)
    adapted = with_adapter(load_base(models, TINY, device="cpu"), adapter)
    second = run_contestant(Contestant("adapter", adapted, "LoRA", 1000), contest, nothing)
    found = compare([first, second])
    assert found["contestants"]["adapter"]["with_passages"]["means"].get("verbatim", 1.0) == 1.0
    assert "f1" in found["gains"]["adapter"]["figures"]
    assert "accuracy_points" in found["gains"]["adapter"]["forgotten"]
    text = comparison_text(found)
    assert "adapter over base" in text
    json.dumps(found)


def test_a_threshold_of_refusing_is_fitted_where_the_kinds_part() -> None:
    assert fit_threshold([-3, -2, 1, 2], [False, False, True, True]) == -0.5
    assert fit_threshold([5, 6, 0, 1], [False, False, True, True]) < 0  # no threshold helps: doubt refuses
    with pytest.raises(BadInput, match="both kinds"):
        fit_threshold([1.0], [True])


def test_each_contestant_fits_its_own_threshold_on_training_examples(base: BaseModel, examples: ExampleSet) -> None:
    contest = Contest(examples.held_out, (), held=True, fit_on=examples.train, max_new_tokens=40)
    figures = run_contestant(Contestant("base", base), contest, nothing).figures
    assert isinstance(figures["refuse_above"], float)


def test_an_export_is_the_unmerged_model_and_one_that_is_not_is_removed(
    models: Path, adapter: Path, examples: ExampleSet, tmp_path: Path
) -> None:
    asked: dict[str, Any] = {"models_root": models, "base": TINY, "adapter": adapter, "forms": ("merged",)}
    asked["examples"] = examples.held_out[:3]
    found = export_adapter(ExportRequest(out=tmp_path / "a", **asked), nothing)
    assert found["merged"]["fidelity"]["kl"] < 0.01
    assert json.loads((tmp_path / "a" / "merged" / "manifest.json").read_text()) == found["merged"]
    with pytest.raises(BadInput, match="there already"):
        export_adapter(ExportRequest(out=tmp_path / "a", **asked), nothing)
    with pytest.raises(ProvenantError, match="it was removed"):
        export_adapter(ExportRequest(out=tmp_path / "b", bounds=(("merged", -1.0),), **asked), nothing)
    assert list((tmp_path / "b").iterdir()) == []


def test_a_tokenizer_that_is_not_known_is_no_gguf(models: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="export the merged form"):
        write_gguf(models / TINY / "base", tmp_path / "model.gguf", kind="F16")


def test_a_folder_without_an_adapter_is_refused(base: BaseModel, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"adapter_config\.json"):
        with_adapter(base, tmp_path)


def test_a_general_set_is_packaged_and_another_can_be_given(tmp_path: Path) -> None:
    assert len(read_general()) == 60
    plain = tmp_path / "general.txt"
    plain.write_text("A long paragraph about nothing in particular, which goes on for more than eighty signs.\n\nshort")
    assert len(read_general(plain)) == 1
    plain.write_text("short")
    with pytest.raises(BadInput, match="holds no text"):
        read_general(plain)
