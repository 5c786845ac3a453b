"""An adapter is served as it was fitted: its numbers, its base, its name in the release; anything else is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assistant.adapter import CONFIG, PACKAGED, WEIGHTS, OpenedAdapter, read_adapter, served_adapter
from assistant.decoding import greedy_tokens
from assistant.generation import Decoding
from assistant.local_models import LocalModels
from assistant.model import identify, load_engine
from assistant.model_general import TransformersDecoder, _CachedModel
from assistant.service import AssistantService
from governance.errors import BadInput, Damaged, NotFound, RefusedByPolicy
from governance.models import Manifest, StoredFile, load_manifest
from governance.settings import Settings
from tests.assistant.adapted_models import TINY, peft_choices, peft_model, pull_tiny, write_random_adapter
from tests.assistant.conftest import ScriptedModels

Made = tuple[Path, OpenedAdapter]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A model folder with a Llama that transformers serves, and an adapter for it."""
    folder = tmp_path_factory.mktemp("adapter")
    pull_tiny(folder / "models", folder)
    return folder / "models", write_random_adapter(folder / "models", TINY, folder / "adapter")


@pytest.fixture
def base(made: Made) -> Manifest:
    return load_manifest(made[0], TINY)


@pytest.mark.parametrize("changes", [{}, {"rslora": True}, {"stored": "float16"}], ids=str)
def test_factors_are_a_and_the_scaled_b(made: Made, tmp_path: Path, changes: dict[str, Any]) -> None:
    opened = write_random_adapter(made[0], TINY, tmp_path / "adapter", **changes)
    scaling = 16 / 8**0.5 if changes.get("rslora") else 2.0
    stored, factors = opened.tensors(), opened.factors()
    assert (opened.is_plain, len(factors)) == (True, 14)
    for (layer, name), factor in factors.items():
        prefix = f"base_model.model.model.layers.{layer}.{name}"
        assert np.array_equal(factor.low, stored[f"{prefix}.lora_A.weight"].float().numpy())
        assert np.allclose(factor.up, scaling * stored[f"{prefix}.lora_B.weight"].float().numpy(), rtol=1e-6)
        assert {str(factor.low.dtype), str(factor.up.dtype)} == {"float32"}


def test_adapter_with_magnitudes_is_not_plain(made: Made, tmp_path: Path) -> None:
    opened = write_random_adapter(made[0], TINY, tmp_path / "adapter", dora=True)
    assert not opened.is_plain
    with pytest.raises(BadInput, match="lora_magnitude_vector, expected matrices of projections only"):
        opened.factors()


def test_nothing_named_is_no_adapter_and_what_is_named_is_opened(made: Made, base: Manifest) -> None:
    assert served_adapter("", base) is None
    opened = served_adapter(str(made[1].folder), base)
    assert opened is not None
    assert opened.manifest.digest == made[1].manifest.digest


def test_what_is_not_there_is_said(base: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assistant.adapter.PACKAGED_FOLDER", tmp_path / "weights" / "adapter")
    with pytest.raises(NotFound, match=r"answer\.adapter is 'packaged', and .* is not part of this installation"):
        served_adapter(PACKAGED, base)
    with pytest.raises(NotFound, match="is no folder; name the folder of an adapter, or nothing"):
        served_adapter(str(tmp_path / "none"), base)
    with pytest.raises(BadInput, match=r"has no manifest\.json"):
        served_adapter(str(tmp_path), base)


def test_packaged_adapter_is_opened_where_it_is_shipped(
    made: Made, base: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assistant.adapter.PACKAGED_FOLDER", made[1].folder)
    opened = served_adapter(PACKAGED, base)
    assert opened is not None
    assert opened.folder == made[1].folder


def test_another_base_and_another_quantization_are_refused(made: Made, base: Manifest, tmp_path: Path) -> None:
    other = replace(base, files={**base.files, "nf4/model.safetensors": StoredFile(1, "sha256:other")})
    with pytest.raises(BadInput, match="fitted with the base"):
        served_adapter(str(made[1].folder), other)
    write_random_adapter(made[0], TINY, tmp_path / "adapter", quantization="bf16")
    with pytest.raises(BadInput, match="fitted with the quantization bf16 and here is nf4_dq"):
        served_adapter(str(tmp_path / "adapter"), base)


def test_another_prompt_is_refused(made: Made, base: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assistant.adapter.PROMPT_DIGEST", "sha256:another")
    with pytest.raises(BadInput, match="fitted with the prompt"):
        served_adapter(str(made[1].folder), base)


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG, "tokenizer.json"])
def test_a_damaged_file_is_refused_by_name_before_anything_is_loaded(made: Made, tmp_path: Path, name: str) -> None:
    folder = write_random_adapter(made[0], TINY, tmp_path / "adapter").folder
    content = bytearray((folder / name).read_bytes())
    content[-2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(Damaged, match=name):
        load_engine(made[0], TINY, device="cpu", adapter=str(folder))
    with pytest.raises(Damaged, match=name):
        read_adapter(folder)


@pytest.mark.parametrize("changes", [{}, {"dora": True}], ids=["plain", "dora"])
def test_general_path_says_what_peft_chooses(made: Made, tmp_path: Path, changes: dict[str, Any]) -> None:
    opened = write_random_adapter(made[0], TINY, tmp_path / "adapter", **changes)
    engine = load_engine(made[0], TINY, device="cpu", adapter=str(opened.folder))
    assert isinstance(engine._decoder, TransformersDecoder)
    assert engine.identity.adapter == opened.manifest.digest
    prompt = engine._encode("the limit for thing is")
    model = _CachedModel(engine._decoder._model)
    said = list(greedy_tokens(model, prompt, draft_tokens=0, max_new_tokens=10, is_end=lambda _: False))
    assert said == peft_choices(peft_model(made[0], TINY, opened), prompt, said)
    text = engine._tokenizer.decode(said, skip_special_tokens=True)
    assert text.startswith(engine.stream("the limit for thing is", decoding=Decoding(10, 3)).finish().text)


def test_identity_and_release_name_the_adapter(
    made: Made, service: AssistantService, models: ScriptedModels, settings: Settings
) -> None:
    before = service.release()
    assert before.answering["adapter"] is None
    assert "adapter" not in before.answering["base_model"]
    answer = settings.answer.model_copy(update={"model": TINY, "adapter": str(made[1].folder)})
    local = LocalModels(settings.model_copy(update={"models": made[0], "answer": answer}))
    assert local.identity == identify(load_manifest(made[0], TINY), made[1].manifest.digest)
    models.engine.identity = replace(models.engine.identity, adapter=local.identity.adapter)
    after = service.release()
    assert after.id != before.id
    assert after.answering["adapter"] == made[1].manifest.digest
    with pytest.raises(RefusedByPolicy, match="its adapter differ"):
        service.release(before.id)


def test_settings_are_digested_without_the_path_of_the_adapter(settings: Settings) -> None:
    def digest(**changes: Any) -> str:
        return settings.model_copy(update={"answer": settings.answer.model_copy(update=changes)}).digest()

    assert digest(adapter="/somewhere") == digest()
    assert digest(adapter_may_refuse=False) != digest()
