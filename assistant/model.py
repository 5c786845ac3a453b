"""Generate text with a local NF4 model, piece by piece.

It knows one base model of the model folder, its tokenizer and its chat template, and the adapter it is served with; it
refuses to know questions, passages or citations. Rules: decoding is greedy, so an answer can be derived again;
prompt-lookup drafts only save time, each drafted token is kept where the model itself would have chosen it; control
tokens that stand in a message are broken up, so a document cannot speak as a role; one generation at a time; nothing is
fetched.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from assistant.adapter import served_adapter
from assistant.cpu_decoder import load_cpu_decoder
from assistant.decoding import Limits
from assistant.generation import (
    Decoding,
    Engine,
    Finish,
    Generation,
    GenerationStream,
    Message,
    ModelIdentity,
    Role,
)
from assistant.model_convert import QUANTIZED_FOLDER
from assistant.model_general import TransformersDecoder, with_adapter
from governance.errors import BadInput
from governance.models import Manifest, open_model
from ingest.model_noise import quiet_libraries

__all__ = [
    "Decoding",
    "Engine",
    "Finish",
    "Generation",
    "GenerationStream",
    "LocalEngine",
    "Message",
    "ModelIdentity",
    "Role",
    "identify",
    "load_engine",
]

Clock = Callable[[], float]

MOST_DRAFT_TOKENS = 3  # the compiled step checks four tokens at once
_ENDS_OF_TURN = ("<|im_end|>", "<|endoftext|>", "<end_of_turn>", "<|eot_id|>")


def load_engine(models_root: Path, name: str, *, device: str | None = None, adapter: str = "") -> LocalEngine:
    """Load a model of the model folder in NF4: in float32 on the CPU, in bfloat16 on CUDA where there is one.

    On a CPU with AVX-512 a Llama is served by our own compiled step, any other model by transformers. `adapter` is the
    setting `answer.adapter`; it is served unmerged.

    Raises NotFound where it was not pulled and Damaged where its files are not those of its manifest; for the adapter
    the errors of `served_adapter`.
    """
    folder, manifest = open_model(models_root, name, "llm")
    opened = served_adapter(adapter, manifest)
    _share_cores()
    with quiet_libraries():
        import torch
        from transformers import AutoTokenizer

        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        tokenizer = AutoTokenizer.from_pretrained(folder / QUANTIZED_FOLDER, local_files_only=True)
        decoder: Decoder | None = load_cpu_decoder(folder / QUANTIZED_FOLDER, opened) if device == "cpu" else None
        if decoder is None:
            model = _load_quantized(folder / QUANTIZED_FOLDER, device)
            decoder = TransformersDecoder(with_adapter(model, opened) if opened is not None else model)
    return LocalEngine(identify(manifest, opened.manifest.digest if opened is not None else ""), tokenizer, decoder)


def identify(manifest: Manifest, adapter: str = "") -> ModelIdentity:
    """Return what a language model is by digests, without loading it; `adapter` is the Digest of its adapter."""
    return ModelIdentity(
        name=manifest.name,
        digest=manifest.digest,
        quantization=str(manifest.conversion["quantization"]),
        tokenizer_digest=manifest.files[f"{QUANTIZED_FOLDER}/tokenizer.json"].digest,
        template_digest=manifest.files[f"{QUANTIZED_FOLDER}/chat_template.jinja"].digest,
        adapter=adapter,
    )


def _share_cores() -> None:
    """Let OpenMP threads sleep while they wait, unless the user said otherwise.

    They spin by default; beside an ingest on the same two cores that made 1 token a second out of 11. The setting is
    read once, when torch is loaded.
    """
    if "torch" not in sys.modules:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _load_quantized(folder: Path, device: str) -> Any:
    import bitsandbytes
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(
        folder, device_map={"": device}, local_files_only=True, use_safetensors=True
    ).eval()
    dtype = torch.bfloat16 if device.startswith("cuda") else torch.float32
    for parameter in model.parameters():
        if parameter.is_floating_point():  # embeddings and norms: bfloat16 on a CPU is some 20 times slower
            parameter.data = parameter.data.to(dtype)
    for module in model.modules():
        if isinstance(module, bitsandbytes.nn.Linear4bit):
            module.compute_dtype = dtype
            module.support_avx512bf16_for_cpu = False  # that kernel rounds to bfloat16, so drafts would change answers
    return model


class Decoder(Protocol):
    """What reads tokens for LocalEngine."""

    @property
    def end_ids(self) -> Sequence[int | None]:
        """The tokens that the model states as ends."""

    @property
    def window_tokens(self) -> int:
        """How many tokens prompt and answer may have together."""

    def generation(
        self, prompt_ids: Sequence[int], limits: Limits, stop: threading.Event
    ) -> AbstractContextManager[Iterator[int] | None]:
        """Wait for a place and give the tokens as they come, or None where `stop` was set before there was one."""

    def close(self) -> None:
        """End what is under way and free what is held."""


class LocalEngine:
    """A model in this process. Any thread may generate, and end its generation; `close` ends all."""

    def __init__(
        self, identity: ModelIdentity, tokenizer: Any, decoder: Decoder, *, clock: Clock = time.monotonic
    ) -> None:
        self.identity = identity
        self._tokenizer = tokenizer
        self._tokenizer.backend_tokenizer.no_truncation()
        self._tokenizer.backend_tokenizer.no_padding()
        self._decoder = decoder
        self._clock = clock
        self._end_ids = _end_ids(tokenizer, decoder.end_ids)
        self._control = _control_tokens(tokenizer)
        self._window_tokens = decoder.window_tokens

    def close(self) -> None:
        """End the generations under way and free the model's threads."""
        self._decoder.close()

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a text has; control tokens in it count as one each."""
        return len(self._encode(text))

    def render(self, messages: Sequence[Message]) -> str:
        """Return the prompt in the model's chat template, ready for the answer.

        Control tokens that stand in a message are broken up by a space. Raises BadInput for messages that the
        template does not take.
        """
        from jinja2 import TemplateError

        turns = [{"role": turn.role, "content": self._break_up(turn.content)} for turn in messages]
        try:
            prompt = self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        except (TemplateError, IndexError) as error:
            raise BadInput(
                f"The chat template of {self.identity.name} does not take these messages ({error})."
            ) from error
        return str(prompt)

    def stream(self, prompt: str, *, decoding: Decoding, stop: threading.Event | None = None) -> GenerationStream:
        """Generate from a rendered prompt in the thread that reads the pieces.

        Raises BadInput where prompt and answer do not fit into the model's window.
        """
        prompt_ids = self._encode(prompt)
        room = self._window_tokens - len(prompt_ids)
        if not prompt_ids or room < decoding.max_new_tokens:
            raise BadInput(
                f"The prompt has {len(prompt_ids)} tokens and the answer up to {decoding.max_new_tokens}, "
                f"expected 1 to {self._window_tokens} together; ask for fewer passages or a shorter answer."
            )
        return GenerationStream(
            len(prompt_ids), lambda stream: self._pieces(stream, prompt_ids, decoding, stop or threading.Event())
        )

    def _pieces(
        self, stream: GenerationStream, prompt_ids: list[int], decoding: Decoding, stop: threading.Event
    ) -> Iterator[str]:
        writer = _Writer(self._tokenizer.backend_tokenizer)
        limits = Limits(
            decoding.max_new_tokens,
            min(decoding.prompt_lookup_tokens, MOST_DRAFT_TOKENS),
            self._end_ids.__contains__,
        )
        started = self._clock()
        finish: Finish = "cancelled"  # what it is when the reader leaves
        try:
            with self._decoder.generation(prompt_ids, limits, stop) as tokens:
                started = self._clock()
                for token in tokens or ():
                    if stop.is_set():
                        return
                    piece = writer.add(token, self._clock() - started, is_end=token in self._end_ids)
                    if piece:
                        yield piece
            if writer.ended:
                finish = "stop"
            elif writer.new_tokens == decoding.max_new_tokens:
                finish = "length"
        finally:
            stream.result = writer.finish(len(prompt_ids), self._clock() - started, finish)

    def _encode(self, text: str) -> list[int]:
        """Encode without adding anything: the chat template already has what begins a prompt."""
        return list(self._tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids)

    def _break_up(self, content: str) -> str:
        return self._control.sub(lambda token: f"{token[0][0]} {token[0][1:]}", content)


class _Writer:
    """Turns tokens into text: control tokens left out, unfinished characters held back."""

    def __init__(self, tokenizer: Any) -> None:
        from tokenizers.decoders import DecodeStream

        self.ended = False
        self._tokenizer = tokenizer
        self._decoder = DecodeStream(skip_special_tokens=True)
        self._pieces: list[str] = []
        self.new_tokens = 0
        self._first_token_seconds = 0.0

    def add(self, token: int, seconds: float, *, is_end: bool) -> str:
        """Take a token that came after some seconds and return the text that is now certain."""
        self.new_tokens += 1
        self._first_token_seconds = self._first_token_seconds or seconds
        self.ended = is_end
        piece = "" if is_end else self._decoder.step(self._tokenizer, token) or ""
        self._pieces.append(piece)
        return piece

    def finish(self, prompt_tokens: int, seconds: float, finish: Finish) -> Generation:
        """Return what was generated."""
        text = "".join(self._pieces)
        return Generation(text, prompt_tokens, self.new_tokens, self._first_token_seconds, seconds, finish)


def _end_ids(tokenizer: Any, stated: Sequence[int | None]) -> frozenset[int]:
    """Return the tokens that end an answer: those the model states, and the ends of turns that its tokenizer has."""
    ids = {tokenizer.eos_token_id, *stated}
    known = tokenizer.get_vocab()
    ids |= {known[token] for token in _ENDS_OF_TURN if token in known}
    return frozenset(token for token in ids if token is not None)


def _control_tokens(tokenizer: Any) -> re.Pattern[str]:
    """Return what matches any token that the tokenizer reads as control and not as text."""
    added = [str(token.content) for token in tokenizer.added_tokens_decoder.values() if token.special]
    found = sorted({token for token in added if len(token) > 1}, key=len, reverse=True)
    return re.compile("|".join(re.escape(token) for token in found) or r"(?!)")
