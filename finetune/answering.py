"""Answers of a model in this process to many prompts at once: greedy, free or held to the passages.

It knows a causal model of transformers (plain, quantized, or with an adapter by PEFT), its tokenizer and token ids, and
refuses to know examples' targets. Rules: prompts are padded on the left and read in one pass; a finished answer gives
no more tokens; held to the passages, an answer is a run of them or the refusal, whatever the model prefers; each answer
comes with the mean probability of its tokens and with how much the refusal was preferred at the first token.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from assistant.generation import Message
from assistant.verbatim import Copying, TokenBytes, token_bytes
from finetune.examples import REFUSAL

if TYPE_CHECKING:
    from torch import Tensor

_ENDS_OF_TURN = ("<|im_end|>", "<|endoftext|>", "<end_of_turn>", "<|eot_id|>")


@dataclass(frozen=True)
class Prompt:
    """What is asked: messages and, to be held to them, the passages as they are shown."""

    messages: Sequence[Message]
    passages: Sequence[str] = ()


@dataclass(frozen=True)
class Answered:
    """An answer: text, mean probability of its tokens, log odds of refusing at its first token, number of tokens."""

    text: str
    confidence: float
    refusal_odds: float
    tokens: int


@dataclass(frozen=True)
class Answerer:
    """A model that answers. `refuse_above` refuses where the log odds of refusing are above it (held answers only)."""

    model: Any
    tokenizer: Any
    held: bool = True
    batch: int = 16
    max_new_tokens: int = 64
    refuse_above: float | None = None
    _known: dict[str, TokenBytes] = field(default_factory=dict, repr=False)

    def answer(self, prompts: Sequence[Prompt], say: Callable[[float, str], None] | None = None) -> list[Answered]:
        """Return the answers in the order of the prompts; those of like length go together."""
        ids = [self._encode(prompt.messages) for prompt in prompts]
        order = sorted(range(len(prompts)), key=lambda number: len(ids[number]))
        found: dict[int, Answered] = {}
        for at in range(0, len(order), self.batch):
            chosen = order[at : at + self.batch]
            answers = self._answer_batch([ids[number] for number in chosen], [prompts[number] for number in chosen])
            found.update(zip(chosen, answers, strict=True))
            if say is not None:
                say(len(found) / len(prompts), f"{len(found)} of {len(prompts)} answers")
        return [found[number] for number in range(len(prompts))]

    def tokens(self) -> TokenBytes:
        """Return what the tokens stand for, worked out once."""
        if "tokens" not in self._known:
            self._known["tokens"] = token_bytes(self.tokenizer, sorted(end_ids(self.model, self.tokenizer)))
        return self._known["tokens"]

    def _encode(self, messages: Sequence[Message]) -> list[int]:
        turns = [{"role": turn.role, "content": turn.content} for turn in messages]
        text = self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _answer_batch(self, ids: Sequence[Sequence[int]], prompts: Sequence[Prompt]) -> list[Answered]:
        import torch

        writing = [_Writing(self, prompt) for prompt in prompts]
        with torch.inference_mode():
            reading = _Reading(self.model, ids, pad=self.tokens().end)
            logits = reading.prompts()
            for _ in range(self.max_new_tokens):
                choices = _choose(logits, writing)
                if all(one.done for one in writing):
                    break
                logits = reading.step(choices)
        return [one.answered(self.tokenizer) for one in writing]


class _Writing:
    """One answer under way."""

    def __init__(self, answerer: Answerer, prompt: Prompt) -> None:
        self._tokens = answerer.tokens()
        self.end = self._tokens.end
        self.copying = Copying(self._tokens, prompt.passages, REFUSAL) if answerer.held else None
        self._refuse_above = answerer.refuse_above
        self._ids: list[int] = []
        self._logs: list[float] = []
        self._odds = 0.0
        self.done = False

    def allowed(self) -> list[int] | None:
        """Return the tokens that may come, None for all."""
        return None if self.copying is None else self.copying.allowed()

    def restrict(self, logs: Tensor, allowed: list[int]) -> list[int]:
        """Return the allowed tokens, at the first one without the answers or the refusal as its odds say."""
        import torch

        if self._ids or self.copying is None:
            return allowed
        refusing = self.copying.first_of_refusal()
        others = [token for token in allowed if token not in refusing]
        best = [
            float(logs[torch.tensor(sorted(group), device=logs.device)].max()) for group in (refusing, others) if group
        ]
        if len(best) == 2:
            self._odds = best[0] - best[1]
            if self._refuse_above is not None:
                return sorted(refusing) if self._odds > self._refuse_above else others
        return allowed

    def take(self, token: int, log: float) -> None:
        """Note a token and its log probability."""
        if self.copying is not None:
            self.copying.take(token)
        self._logs.append(log)
        self.done = token in self._tokens.ends
        if not self.done:
            self._ids.append(token)

    def answered(self, tokenizer: Any) -> Answered:
        """Return the answer."""
        text = self.copying.text if self.copying else tokenizer.decode(self._ids, skip_special_tokens=True)
        confidence = math.exp(sum(self._logs) / len(self._logs)) if self._logs else 0.0
        return Answered(text.strip(), confidence, self._odds, len(self._ids))


def _choose(logits: Tensor, writing: Sequence[_Writing]) -> list[int]:
    """Return the next token of each answer, the end for those that are done; probabilities are over all tokens."""
    import torch

    logs = torch.log_softmax(logits.float(), dim=-1)  # (batch, vocabulary)
    best = logs.argmax(dim=-1).tolist()
    choices = []
    for row, one in enumerate(writing):
        if one.done:
            choices.append(one.end)
            continue
        allowed = one.allowed()
        token = best[row]
        if allowed is not None:
            places = torch.tensor(one.restrict(logs[row], allowed), device=logs.device)
            token = int(places[logs[row, places].argmax()])
        one.take(token, float(logs[row, token]))
        choices.append(token)
    return choices


class _Reading:
    """The model's cache for a batch of prompts, padded on the left."""

    def __init__(self, model: Any, ids: Sequence[Sequence[int]], *, pad: int) -> None:
        import torch
        from transformers import DynamicCache

        longest = max(len(one) for one in ids)
        padded = [[pad] * (longest - len(one)) + list(one) for one in ids]
        seen = [[0] * (longest - len(one)) + [1] * len(one) for one in ids]
        self._model = model
        self._ids = torch.tensor(padded, device=model.device)  # (batch, tokens)
        self._seen = torch.tensor(seen, device=model.device)
        self._cache = DynamicCache()

    def prompts(self) -> Tensor:
        """Read the prompts and return the logits after each, (batch, vocabulary)."""
        positions = (self._seen.cumsum(-1) - 1).clamp(min=0)
        return self._read(self._ids, positions)

    def step(self, tokens: Sequence[int]) -> Tensor:
        """Read one token of each and return the logits after it, (batch, vocabulary)."""
        import torch

        column = torch.tensor(tokens, device=self._ids.device)[:, None]
        self._seen = torch.cat([self._seen, torch.ones_like(column)], dim=1)
        return self._read(column, self._seen.sum(-1, keepdim=True) - 1)

    def _read(self, ids: Tensor, positions: Tensor) -> Tensor:
        output = self._model(
            input_ids=ids,
            attention_mask=self._seen,
            position_ids=positions,
            use_cache=True,
            logits_to_keep=1,
            **{_cache_name(self._model): self._cache},
        )
        logits: Tensor = output.logits[:, -1]
        return logits


def _cache_name(model: Any) -> str:
    """Return what the installed transformers calls its cache: the name changed within version 5."""
    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    return "cache" if "cache" in inspect.signature(causal.forward).parameters else "past_key_values"


def end_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """Return the tokens that end an answer: those that model and tokenizer state, and known ends of turns."""
    stated = model.generation_config.eos_token_id
    ids = {tokenizer.eos_token_id, *(stated if isinstance(stated, list) else [stated])}
    vocabulary = tokenizer.get_vocab()
    ids |= {vocabulary[token] for token in _ENDS_OF_TURN if token in vocabulary}
    return frozenset(number for number in ids if number is not None)
