"""One engine of the serving benchmark in a process of its own: it takes a JSON line and answers with one.

A line asks for an answer ({"prompt", "new_tokens", "to_end"}), for several at once ({"prompts", "new_tokens"}, ours
only) or for the peak of memory ({}). Seconds are those that a reader waits; tokens are ids where the engine gives them.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

Came = list[tuple[float, int]]  # when (time.monotonic) and which token
Ask = Callable[[str, int, bool], Came]  # prompt, new tokens, whether an end token ends it


def main() -> None:
    engine, model, gguf = sys.argv[1:4]
    started = time.monotonic()
    ask = ENGINES[engine](Path(gguf) if engine == "llama.cpp" else Path(model))
    tell({"load_seconds": time.monotonic() - started})
    for line in sys.stdin:
        order = json.loads(line)
        if "prompts" in order:
            tell(measure_together(ask, order["prompts"], order["new_tokens"]))
        elif "prompt" in order:
            begun = time.monotonic()
            came = ask(order["prompt"], order["new_tokens"], order["to_end"])
            tell({"first": came[0][0] - begun, "whole": came[-1][0] - begun, "tokens": [token for _, token in came]})
        else:
            tell({"peak_mb": peak_megabytes()})


def tell(value: dict[str, Any]) -> None:
    print(json.dumps(value), flush=True)


def measure_together(ask: Ask, prompts: Sequence[str], new_tokens: int) -> dict[str, float]:
    """Ask all at once. The decode rate counts the tokens that came while nobody was reading a prompt or had ended."""
    begun = time.monotonic()
    with ThreadPoolExecutor(len(prompts)) as pool:
        answers = list(pool.map(lambda prompt: ask(prompt, new_tokens, False), prompts))
    found = [[at - begun for at, _ in came] for came in answers]
    begin, end = max(times[0] for times in found), min(times[-1] for times in found)
    inside = sum(begin < at <= end for times in found for at in times)
    whole = max(times[-1] for times in found)
    return {
        "decode_tokens_per_second": inside / (end - begin) if end > begin else 0.0,
        "whole_tokens_per_second": sum(map(len, found)) / whole,
        "whole_seconds": whole,
        "median_first_seconds": sorted(times[0] for times in found)[len(found) // 2],
        "longest_pause_seconds": max(later - earlier for times in found for earlier, later in pairwise(times)),
    }


def open_ours(model: Path) -> Ask:
    from assistant.decoding import Limits
    from assistant.generation import Decoding
    from assistant.model import MOST_DRAFT_TOKENS, load_engine

    engine = load_engine(model.parent, model.name, device="cpu")
    drafts = min(Decoding(1).prompt_lookup_tokens, MOST_DRAFT_TOKENS)

    def ask(prompt: str, new_tokens: int, to_end: bool) -> Came:
        ends = engine._end_ids if to_end else frozenset()
        limits = Limits(new_tokens, drafts, ends.__contains__)
        with engine._decoder.generation(engine._encode(prompt), limits, threading.Event()) as tokens:
            return [(time.monotonic(), token) for token in tokens or ()]

    return ask


def open_generate(model: Path) -> Ask:
    """What `from_pretrained` gives: the library chooses its own NF4 kernel."""
    import torch
    from transformers import AutoModelForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(model / "nf4", dtype=torch.float32, local_files_only=True).eval()
    return ask_generate(model / "nf4", loaded)


def open_lookup(model: Path) -> Ask:
    """The same with prompt lookup."""
    import torch
    from transformers import AutoModelForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(model / "nf4", dtype=torch.float32, local_files_only=True).eval()
    return ask_generate(model / "nf4", loaded, prompt_lookup_num_tokens=6)


def open_reference(model: Path) -> Ask:
    """The same weights with float32 in every product: what ours has to equal."""
    from assistant.model import _load_quantized

    return ask_generate(model / "nf4", _load_quantized(model / "nf4", "cpu"))


def ask_generate(folder: Path, loaded: Any, **options: Any) -> Ask:
    import torch
    from transformers import AutoTokenizer
    from transformers.generation.streamers import BaseStreamer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)

    class Clock(BaseStreamer):  # type: ignore[misc]
        """Notes when tokens came; the first call hands over the prompt."""

        def __init__(self) -> None:
            self.came: list[tuple[float, list[int]]] = []

        def put(self, value: Any) -> None:
            self.came.append((time.monotonic(), value.reshape(-1).tolist()))

        def end(self) -> None:
            pass

    def ask(prompt: str, new_tokens: int, to_end: bool) -> Came:
        ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
        ends = {} if to_end else {"eos_token_id": None, "min_new_tokens": new_tokens}
        clock = Clock()
        with torch.inference_mode():
            loaded.generate(**ids, max_new_tokens=new_tokens, do_sample=False, streamer=clock, **ends, **options)
        return [(at, token) for at, tokens in clock.came[1:] for token in tokens]

    return ask


def open_llama(gguf: Path) -> Ask:
    import os

    import xllamacpp  # type: ignore[import-untyped]

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(gguf)
    parameters.n_ctx, parameters.n_parallel, parameters.verbosity = 4096, 1, 0
    threads = len(os.sched_getaffinity(0))
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
    server = xllamacpp.Server(parameters)

    def ask(prompt: str, new_tokens: int, to_end: bool) -> Came:
        came: Came = []

        def note(part: dict[str, Any]) -> bool:
            if "usage" not in part:
                came.append((time.monotonic(), 0))
            return False

        body = {"prompt": prompt, "n_predict": new_tokens, "temperature": 0.0, "stream": True, "ignore_eos": not to_end}
        server.handle_completions(body, note)
        return came

    return ask


ENGINES = {
    "ours": open_ours,
    "generate": open_generate,
    "lookup": open_lookup,
    "reference": open_reference,
    "llama.cpp": open_llama,
}


def peak_megabytes() -> float:
    """Return the largest resident size of this process; `getrusage` would count its parent's before the start."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
