"""Fast decoding on the CPU: the same scheduling and sums as on a GPU, without captured graphs and kernels."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from assistant.gpu_decoding import ContinuousBatch, open_batch
from assistant.gpu_operations import PlainOperations, narrowed, new_state
from assistant.gpu_steps import Decoder
from assistant.gpu_weights import Nf4Weight, dequantized, read_weights
from governance.errors import BadInput

VOCABULARY = 211
CONTEXT_TOKENS = 96


def tiny_model(*, seed: int = 0, **changes: Any) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {
        "vocab_size": VOCABULARY,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "initializer_range": 0.2,
        "bos_token_id": 1,
        "eos_token_id": None,
        "pad_token_id": 0,
    }
    torch.manual_seed(seed)
    model = LlamaForCausalLM(LlamaConfig(**{**sizes, **changes})).eval()
    return model.requires_grad_(False)


def quantize(model: Any) -> Any:
    """Turn the linear layers of a model into NF4 ones with double quantization."""
    import bitsandbytes

    for layer in model.model.layers:
        for parent in (layer.self_attn, layer.mlp):
            for name, linear in list(parent.named_children()):
                if isinstance(linear, torch.nn.Linear):
                    setattr(parent, name, nf4_copy(bitsandbytes, linear))
    model.is_loaded_in_4bit = True
    return model


def nf4_copy(bitsandbytes: Any, linear: Any) -> Any:
    made = bitsandbytes.nn.Linear4bit(
        linear.in_features,
        linear.out_features,
        bias=False,
        compute_dtype=torch.float32,
        quant_type="nf4",
        device="meta",
    )
    made.weight = bitsandbytes.nn.Params4bit(
        linear.weight.data, requires_grad=False, compress_statistics=True, quant_type="nf4", module=made
    ).to("cpu")
    made.support_avx512bf16_for_cpu = False
    made.compute_type_is_set = True
    return made.eval()


def with_adapter(model: Any, **changes: Any) -> Any:
    """Attach a LoRA adapter with random B, so that it changes what is chosen."""
    from peft import LoraConfig, get_peft_model

    settings = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear", "task_type": "CAUSAL_LM", **changes}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PEFT asks transformers by an old name
        adapted = get_peft_model(model, LoraConfig(**settings)).eval()
    torch.manual_seed(5)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    return adapted.requires_grad_(False)


def prompts(*lengths: int) -> list[list[int]]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randint(3, VOCABULARY, (length,), generator=generator).tolist() for length in lengths]


def reference(model: Any, prompt: Sequence[int], count: int) -> list[int]:
    """Return what transformers' own greedy generate chooses."""
    ids = torch.tensor([list(prompt)])
    out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=count, do_sample=False)
    return [int(token) for token in out[0, len(prompt) :]]


def decode_all(batch: ContinuousBatch) -> dict[int, list[int]]:
    answers: dict[int, list[int]] = {}
    for produced in batch.run():
        answers.setdefault(produced.user, []).append(produced.token)
    return answers


MODELS: dict[str, Callable[[], Any]] = {
    "plain": tiny_model,
    "NF4": lambda: quantize(tiny_model()),
    "plain with adapter": lambda: with_adapter(tiny_model()),
    "NF4 with adapter": lambda: with_adapter(quantize(tiny_model())),
    "NF4 with adapter on some": lambda: with_adapter(
        quantize(tiny_model()), target_modules=["q_proj", "v_proj", "down_proj"]
    ),
}


@pytest.mark.parametrize("kind", MODELS)
def test_users_who_join_and_leave_get_the_tokens_of_generate(kind: str) -> None:
    model: Any = MODELS[kind]()
    texts, counts = prompts(7, 40, 1, 23, 12), [12, 5, 20, 1, 9]
    expected = [reference(model, text, count) for text, count in zip(texts, counts, strict=True)]
    batch = open_batch(model, slots=3, context_tokens=CONTEXT_TOKENS)
    batch.chunk_tokens = 16
    answers: dict[int, list[int]] = {}
    waiting = list(zip(texts, counts, strict=True))
    while waiting or batch.is_busy:
        if waiting:
            text, count = waiting.pop(0)
            batch.submit(text, max_new_tokens=count)
        for _ in range(3):
            for produced in batch.step():
                answers.setdefault(produced.user, []).append(produced.token)
    assert [answers[number] for number in range(len(texts))] == expected


class Repeated:
    """A recorder without a GPU: like a captured graph, it does the work while recording and again at each replay."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        work()

    def replay(self) -> None:
        """Do the work once more."""
        self._work()


def recorded_batch(model: Any, slots: int) -> ContinuousBatch:
    weights = read_weights(model, context_tokens=CONTEXT_TOKENS)
    operations = PlainOperations(weights, new_state(weights, slots=slots, most_rows=1 << (slots - 1).bit_length()))
    return ContinuousBatch(Decoder(weights, operations, recorder=Repeated))


def test_a_step_recorded_while_users_wait_changes_nobodys_tokens() -> None:
    model = with_adapter(quantize(tiny_model()))
    texts, counts = prompts(7, 40, 1, 23, 12), [12, 5, 20, 1, 9]
    batch = recorded_batch(model, slots=3)
    for text, count in zip(texts, counts, strict=True):
        batch.submit(text, max_new_tokens=count)
    expected = {number: reference(model, texts[number], counts[number]) for number in range(len(texts))}
    assert decode_all(batch) == expected


def test_the_first_step_after_recording_is_the_users_own() -> None:
    model = tiny_model()
    (text,) = prompts(9)
    batch = recorded_batch(model, slots=1)
    batch.decoder.prepare([1])
    batch.submit(text, max_new_tokens=8)
    assert decode_all(batch) == {0: reference(model, text, 8)}


def test_a_model_in_bfloat16_is_decoded_nearly_as_in_float32() -> None:
    short = short_model()
    exact = short_model().float()
    (text,) = prompts(30)
    batch = open_batch(short, slots=1, context_tokens=CONTEXT_TOKENS)
    batch.submit(text, max_new_tokens=40)
    tokens = decode_all(batch)[0]
    ids = torch.tensor([text + tokens])
    right = exact(ids).logits[0, len(text) - 1 : -1]
    ours, theirs = ours_of(short, text, tokens), short(ids).logits[0, len(text) - 1 : -1].float()
    assert float((ours - right).std()) <= 0.3 * float((theirs - right).std())
    assert float(right.max(-1).values.sub(right.gather(1, torch.tensor(tokens)[:, None])[:, 0]).max()) <= 0.01


def short_model() -> Any:
    return tiny_model(num_hidden_layers=8).to(torch.bfloat16)


def ours_of(model: Any, prompt: Sequence[int], tokens: Sequence[int]) -> torch.Tensor:
    """Return our logits, (tokens, vocabulary), of the places where the tokens were chosen."""
    weights = read_weights(model, context_tokens=CONTEXT_TOKENS)
    logits: list[torch.Tensor] = []

    class Kept(PlainOperations):
        def scores(self, x: torch.Tensor) -> torch.Tensor:
            logits.append(super().scores(x))
            return logits[-1]

    decoder = Decoder(weights, Kept(weights, new_state(weights, slots=1, most_rows=1)), recorder=None)
    decoder.read_prompt(0, prompt, start=0, is_last=True)
    for number, token in enumerate(tokens[:-1]):
        decoder.state.tokens[0] = token
        decoder.step([0], len(prompt) + number)
    return torch.cat(logits)


def test_numbers_beyond_float16_become_its_largest() -> None:
    wide = torch.tensor([1.0, 1e5, -1e9])
    assert narrowed(wide, torch.float16).tolist() == [1.0, 65504.0, -65504.0]
    assert narrowed(wide, torch.float32) is wide


def test_the_adapter_can_be_left_out() -> None:
    base = tiny_model()
    (text,) = prompts(9)
    expected = reference(base, text, 8)
    adapted = with_adapter(base)
    batch = open_batch(adapted, slots=1, context_tokens=CONTEXT_TOKENS, with_adapter=False)
    batch.submit(text, max_new_tokens=8)
    assert decode_all(batch) == {0: expected}
    assert reference(adapted, text, 8) != expected


def test_the_model_still_works_after_its_projections_were_joined() -> None:
    model = with_adapter(quantize(tiny_model()))
    ids = torch.tensor(prompts(11))
    before = model(ids).logits
    weights = read_weights(model, context_tokens=CONTEXT_TOKENS)
    assert torch.equal(model(ids).logits, before)
    joined = weights.layers[0].attention_in.weight
    query = model.get_base_model().model.layers[0].self_attn.q_proj.base_layer.weight
    assert isinstance(joined, Nf4Weight)
    assert query.data_ptr() == joined.packed.data_ptr()


def test_a_joined_nf4_weight_holds_the_numbers_of_its_parts() -> None:
    import bitsandbytes

    model = quantize(tiny_model())
    mlp = model.model.layers[1].mlp
    parts = [
        bitsandbytes.functional.dequantize_4bit(m.weight.data, m.weight.quant_state)
        for m in (mlp.gate_proj, mlp.up_proj)
    ]
    joined = read_weights(model, context_tokens=CONTEXT_TOKENS).layers[1].mlp_in.weight
    assert isinstance(joined, Nf4Weight)
    assert torch.equal(dequantized(joined, torch.float32), torch.cat(parts).float())


def test_each_chosen_token_is_the_teacher_forced_maximum() -> None:
    model = with_adapter(quantize(tiny_model()))
    texts = prompts(30, 18)
    batch = open_batch(model, slots=2, context_tokens=CONTEXT_TOKENS)
    for text in texts:
        batch.submit(text, max_new_tokens=25)
    for number, tokens in decode_all(batch).items():
        logits = model(torch.tensor([texts[number] + tokens])).logits[0, len(texts[number]) - 1 : -1]
        gaps = logits.max(-1).values - logits.gather(1, torch.tensor(tokens)[:, None])[:, 0]
        assert float(gaps.max()) <= 1e-4


def test_an_end_token_ends_its_user_alone_and_what_came_after_is_forgotten() -> None:
    model = tiny_model()
    texts = prompts(14, 6)
    expected = [reference(model, text, 16) for text in texts]
    end = expected[0][5]
    batch = open_batch(model, slots=2, context_tokens=CONTEXT_TOKENS)
    batch.submit(texts[0], max_new_tokens=16, end_ids=frozenset({end}))
    batch.submit(texts[1], max_new_tokens=16)
    assert decode_all(batch) == {0: expected[0][: expected[0].index(end) + 1], 1: expected[1]}


def test_the_last_token_says_so() -> None:
    batch = open_batch(tiny_model(), slots=1, context_tokens=CONTEXT_TOKENS)
    batch.submit(prompts(4)[0], max_new_tokens=3)
    assert [produced.is_last for produced in batch.run()] == [False, False, True]


def test_a_user_who_leaves_early_frees_the_slot_and_disturbs_nobody() -> None:
    model = tiny_model()
    texts = prompts(10, 20, 15)
    expected = [reference(model, text, 10) for text in texts]
    batch = open_batch(model, slots=2, context_tokens=CONTEXT_TOKENS)
    leaving, staying, waiting = (batch.submit(text, max_new_tokens=10) for text in texts)
    answers: dict[int, list[int]] = {}
    for number in range(40):
        if number == 4:
            batch.cancel(leaving)
        for produced in batch.step():
            answers.setdefault(produced.user, []).append(produced.token)
    assert not batch.is_busy
    assert answers.pop(leaving) == expected[0][:4]
    assert answers == {staying: expected[1], waiting: expected[2]}


def test_a_prompt_that_waits_can_be_cancelled() -> None:
    batch = open_batch(tiny_model(), slots=1, context_tokens=CONTEXT_TOKENS)
    batch.chunk_tokens = 4
    number = batch.submit(prompts(20)[0], max_new_tokens=4)
    batch.step()
    batch.cancel(number)
    assert not batch.is_busy
    other = batch.submit(prompts(5)[0], max_new_tokens=2)
    assert len(decode_all(batch)[other]) == 2


def test_a_full_context_is_used_to_the_last_token_and_not_beyond() -> None:
    model = tiny_model()
    (text,) = prompts(CONTEXT_TOKENS - 6)
    batch = open_batch(model, slots=1, context_tokens=CONTEXT_TOKENS)
    batch.submit(text, max_new_tokens=6)
    assert decode_all(batch) == {0: reference(model, text, 6)}
    with pytest.raises(BadInput, match="at most 96"):
        batch.submit(text, max_new_tokens=7)


def test_scaled_positions_are_those_of_the_model() -> None:
    rope = {"rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    model = tiny_model(rope_parameters={**rope, "original_max_position_embeddings": 32})
    (text,) = prompts(50)
    batch = open_batch(model, slots=1, context_tokens=CONTEXT_TOKENS)
    batch.submit(text, max_new_tokens=20)
    assert decode_all(batch) == {0: reference(model, text, 20)}


def test_what_is_not_computed_exactly_is_refused() -> None:
    with pytest.raises(BadInput, match="bias"):
        open_batch(tiny_model(attention_bias=True), slots=1, context_tokens=CONTEXT_TOKENS)
    with pytest.raises(BadInput, match="adapter"):
        open_batch(with_adapter(tiny_model(), use_dora=True), slots=1, context_tokens=CONTEXT_TOKENS)
    two = with_adapter(tiny_model())
    two.merge_adapter()
    with pytest.raises(BadInput, match="unmerged"):
        open_batch(two, slots=1, context_tokens=CONTEXT_TOKENS)
