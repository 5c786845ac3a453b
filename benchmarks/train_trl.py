"""Training speed and memory of TRL's SFTTrainer on one GPU, beside the rows of `benchmarks.train_speed`.

    python -m benchmarks.train_trl --out FOLDER --model FOLDER [--tiny] [--only NAME ...] [--budget SECONDS]

The documents, the count of useful work and the keys of a row are those of `benchmarks.train_speed`; TRL trains QLoRA
(NF4 with double quantization, rank 16, alpha 32, all linear layers) on an 8B-shaped model of random weights that is
made once in --model. Each variant runs in a process of its own, so that memory and compiled code of one do not touch
the next; what a process printed is kept beside the rows. A step is what lies between two ends of steps, synchronized:
data, forward, backward, clip, optimizer and logging. Tokens are real ones, padding is not counted; `filler_share` is
the share of padding, which a batch of packs has none of: TRL joins them in one row that ends with its last document.
Memory is the peak after the warm-up. The attention is torch's own: a user who has flash-attn gets more from packing.
`--tiny` runs all of it on a CPU, without what runs on CUDA only; the row says what that is.
"""

from __future__ import annotations

import argparse
import builtins
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu_report import peak_gib, synchronize, told_environment
from benchmarks.measured import ROOT
from benchmarks.train_speed import COMMON, CONFIGS, GIB, PEAK_TFLOPS, drawn_examples, useful_flops
from finetune.base_weights import Shape, read_shape
from finetune.packing import EncodedExample, Pack, make_pack
from governance.errors import BadInput

WARM_STEPS, TIMED_STEPS, LOGGED_STEPS = 10, 16, 5  # the first process on a fresh machine stalls once or twice
DOCUMENTS, MAX_TOKENS, RANK = 480, 4096, 16
PROCESS_SECONDS = 300.0  # one variant; a longer one hangs
NO_LOSS = -100
EXTRA = ("trl", "datasets", "liger-kernel", "accelerate", "pyarrow")
MAKE = "the model"  # the process that makes it


@dataclass(frozen=True)
class Variant:
    """Settings of TRL under a name; the rest are its defaults."""

    name: str
    batch: int  # documents, or packs of MAX_TOKENS
    packing: bool = False
    liger: bool = False
    checkpointing: bool = True


VARIANTS = (
    Variant("trl defaults", 4),
    Variant("trl packed, liger", 1, packing=True, liger=True, checkpointing=False),
    Variant("trl packed, liger 2", 2, packing=True, liger=True, checkpointing=False),
    Variant("trl packed, checkpointing", 2, packing=True, liger=True),
)


@dataclass(frozen=True)
class Place:
    """Where and how large: the device, the base's shape, the share of the documents' lengths."""

    device: str
    base: str
    scale: float
    model: Path

    @property
    def shape(self) -> Shape:
        return read_shape({**COMMON, **CONFIGS[self.base]})

    @property
    def max_tokens(self) -> int:
        return int(MAX_TOKENS * self.scale)


@dataclass
class Watched:
    """What was seen of a training run; one batch is made for each step."""

    ends: list[float] = field(default_factory=list)  # of the beginning and of each step, seconds
    batches: list[Sequence[Mapping[str, Any]]] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)  # of each batch, with padding
    logged: list[tuple[float, float]] = field(default_factory=list)  # loss, gradient norm

    @property
    def seconds(self) -> list[float]:
        return [end - begin for begin, end in pairwise(self.ends)]

    def watching(self, collate: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Return a collator that keeps what it is given."""

        def kept(examples: Sequence[Mapping[str, Any]]) -> Any:
            batch = collate(examples)
            self.batches.append(examples)
            self.positions.append(batch["input_ids"].numel())
            return batch

        return kept

    def callback(self) -> Any:
        """Return what the trainer tells of its steps."""
        from transformers import TrainerCallback

        watched = self

        class Clock(TrainerCallback):  # type: ignore[misc]
            def on_train_begin(self, *_: Any, **__: Any) -> None:
                watched.tick()

            def on_step_end(self, *_: Any, **__: Any) -> None:
                watched.tick()

            def on_log(self, *_: Any, logs: Mapping[str, Any] | None = None, **__: Any) -> None:
                if logs and "loss" in logs:
                    watched.logged.append((round(float(logs["loss"]), 3), round(float(logs["grad_norm"]), 3)))

        return Clock()

    def tick(self) -> None:
        """Note the time; memory counts from the end of the warm-up."""
        synchronize()
        self.ends.append(time.perf_counter())
        if torch.cuda.is_available() and len(self.ends) == WARM_STEPS + 1:
            torch.cuda.reset_peak_memory_stats()


def make_model(place: Place) -> None:
    """Save a model of normal(0, 0.02) with norms of ones in bfloat16 as Transformers does, made on the device."""
    from transformers import AutoConfig, AutoModelForCausalLM

    special = {"bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0}
    config = AutoConfig.for_model(**COMMON, **CONFIGS[place.base], **special)
    torch.manual_seed(0)
    with torch.device(place.device):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    for name, parameter in model.named_parameters():
        with torch.no_grad():
            parameter.fill_(1.0) if "norm" in name else parameter.normal_(0, 0.02)
    half = place.model.with_name(place.model.name + ".part")
    model.save_pretrained(half)
    half.rename(place.model)  # a model that is there is whole


def has_model(place: Place) -> bool:
    """Return whether the model is there. Raises BadInput for another one."""
    path = place.model / "config.json"
    if not path.is_file():
        return False
    found, expected = json.loads(path.read_text(encoding="utf-8"))["hidden_size"], place.shape.hidden
    if found != expected:
        raise BadInput(
            f"The model in {place.model} has a hidden size of {found} and this run needs {expected}; "
            "name another folder with --model."
        )
    return True


def load_base(place: Place) -> tuple[Any, bool]:
    """Return the base and whether it is quantized; a CPU may lack the kernels for it."""
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    settings: dict[str, Any] = {"dtype": torch.bfloat16, "attn_implementation": "sdpa"}
    settings["device_map"] = {"": 0 if place.device == "cuda" else place.device}
    nf4 = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    try:
        model, is_quantized = (
            AutoModelForCausalLM.from_pretrained(place.model, quantization_config=nf4, **settings),
            True,
        )
    except (ImportError, RuntimeError, ValueError):
        if place.device == "cuda":
            raise
        model, is_quantized = AutoModelForCausalLM.from_pretrained(place.model, **settings), False
    model.config.use_cache = False
    return model, is_quantized


def make_tokenizer() -> Any:
    """Return a tokenizer that only knows the special tokens: the documents are ids already."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = models.WordLevel({"<pad>": 0, "<end>": 1, "<unknown>": 2}, "<unknown>")
    names = {"pad_token": "<pad>", "eos_token": "<end>", "unk_token": "<unknown>"}
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(words), **names)


def make_dataset(place: Place) -> Any:
    """Return the documents of `benchmarks.train_speed` as TRL takes them, without a loss on prompts."""
    import pyarrow  # type: ignore[import-not-found, import-untyped, unused-ignore]

    # A type of pyarrow says that it lives in builtins, and datasets pickles it by that name.
    vars(builtins).setdefault("MonthDayNano", pyarrow.MonthDayNano)
    from datasets import Dataset  # type: ignore[import-not-found, import-untyped, unused-ignore]

    rows = [
        {
            "input_ids": list(one.ids),
            "labels": [NO_LOSS] * one.prompt_tokens + list(one.ids[one.prompt_tokens :]),
        }
        for one in drawn_examples(DOCUMENTS, place.shape.vocabulary, scale=place.scale)
    ]
    return Dataset.from_list(rows)


def make_trainer(variant: Variant, place: Place, model: Any, folder: Path) -> Any:
    """Return TRL's trainer."""
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer  # type: ignore[import-not-found, import-untyped, unused-ignore]

    settings = SFTConfig(
        output_dir=str(folder),
        per_device_train_batch_size=variant.batch,
        max_steps=WARM_STEPS + TIMED_STEPS,
        max_length=place.max_tokens,  # the default, 1024, would cut completions away
        packing=variant.packing,
        gradient_checkpointing=variant.checkpointing,
        use_liger_kernel=variant.liger and place.device == "cuda",
        logging_steps=LOGGED_STEPS,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=place.device == "cpu",
    )
    lora = LoraConfig(r=RANK, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    return SFTTrainer(
        model=model,
        args=settings,
        train_dataset=make_dataset(place),
        processing_class=make_tokenizer(),
        peft_config=lora,
    )


def measured(variant: Variant, place: Place, folder: Path) -> dict[str, Any]:
    """Return one variant's row."""
    begin = time.perf_counter()
    model, is_quantized = load_base(place)
    trainer = make_trainer(variant, place, model, folder)
    made, watched = time.perf_counter() - begin, Watched()
    trainer.data_collator = watched.watching(trainer.data_collator)
    trainer.add_callback(watched.callback())
    trainer.train()
    row = {"name": variant.name, "base": place.base, **figures(watched, place)}
    if place.device == "cuda":
        row["peak_gib"] = peak_gib()
        row["reserved_gib"] = round(torch.cuda.max_memory_reserved() / GIB, 2)
    row |= {key: [watched.logged[0][at], watched.logged[-1][at]] for at, key in enumerate(("loss", "gradient_norm"))}
    row |= {
        "made_seconds": round(made, 1),
        "first_steps_seconds": [round(one, 2) for one in watched.seconds[:WARM_STEPS]],
    }
    lacking = [] if is_quantized else ["NF4"]
    lacking += ["liger"] if variant.liger and place.device == "cpu" else []
    return {**row, **({"without": lacking} if lacking else {}), "settings": asdict(variant)}


def figures(watched: Watched, place: Place) -> dict[str, Any]:
    """Return what the timed steps say."""
    timed = slice(WARM_STEPS, WARM_STEPS + TIMED_STEPS)
    seconds, positions = watched.seconds[timed], sum(watched.positions[timed])
    packs = [as_pack(batch) for batch in watched.batches[timed]]
    tokens, completion = sum(pack.tokens for pack in packs), sum(len(pack.rows) for pack in packs)
    total = sum(seconds)
    useful = sum(useful_flops(place.shape, pack, RANK) for pack in packs) / total / 1e12
    return {
        "tokens_second": round(tokens / total),
        "padded_tokens_second": round(positions / total),
        "completion_tokens_second": round(completion / total),
        "step_seconds": round(statistics.median(seconds), 4),
        "slowest_step_seconds": round(max(seconds), 4),
        "useful_tflops": round(useful, 1),
        "share_of_peak": round(useful / PEAK_TFLOPS, 3),
        "completion_share": round(completion / positions, 4),
        "filler_share": round(1 - tokens / positions, 4),
        "steps": len(seconds),
    }


def as_pack(batch: Sequence[Mapping[str, Any]]) -> Pack:
    """Return the documents of a batch in the form that `useful_flops` counts."""
    return make_pack([document for example in batch for document in documents_of(example)], device="cpu")


def documents_of(example: Mapping[str, Any]) -> list[EncodedExample]:
    """Return the documents of an example of TRL: one, or those of a pack."""
    found, begin = [], 0
    for length in example.get("seq_lengths") or [len(example["input_ids"])]:
        labels = example["labels"][begin : begin + length]
        ids = tuple(example["input_ids"][begin : begin + length])
        found.append(EncodedExample("", ids, sum(label == NO_LOSS for label in labels)))
        begin += length
    return found


def in_process(name: str, arguments: Any, log: Path) -> dict[str, Any]:
    """Return the row of a process of its own; what it prints goes to the log."""
    with tempfile.TemporaryDirectory() as folder, log.open("w", encoding="utf-8") as told:
        command = [sys.executable, "-m", "benchmarks.train_trl", "--out", folder]
        command += ["--model", str(arguments.model), "--process", name, *(["--tiny"] if arguments.tiny else [])]
        try:
            ran = subprocess.run(
                command,
                cwd=ROOT,
                env={**os.environ, "HF_HUB_OFFLINE": "1"},
                stdout=told,
                stderr=subprocess.STDOUT,
                timeout=PROCESS_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return {"name": name, "failed": f"The process did not end within {PROCESS_SECONDS:.0f} s."}
        answer = Path(folder) / "row.json"
        if not answer.is_file():
            return {"name": name, "failed": f"The process ended with {ran.returncode} and no row; see {log.name}."}
        row: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
        return row


def answer(name: str, place: Place, folder: Path) -> None:
    """Do one process's work and leave its row."""
    try:
        if name == MAKE:
            make_model(place)
            row: dict[str, Any] = {"name": name}
        else:
            row = measured(next(one for one in VARIANTS if one.name == name), place, folder)
    except Exception as failure:  # noqa: BLE001 - the machine is lent for minutes: the others still count
        traceback.print_exc()
        row = {"name": name, "failed": f"{type(failure).__name__}: {str(failure)[:600]}"}
    (folder / "row.json").write_text(json.dumps(row), encoding="utf-8")


def environment() -> dict[str, Any]:
    """Return the versions and the device."""
    found = told_environment()
    for name in EXTRA:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def main() -> None:
    arguments = _arguments()
    arguments.out, arguments.model = arguments.out.resolve(), arguments.model.resolve()
    device, base, scale = ("cpu", "tiny", 0.05) if arguments.tiny else ("cuda", "llama-3.1-8b", 1.0)
    place = Place(device, base, scale, arguments.model)
    if arguments.process:
        answer(arguments.process, place, arguments.out)
        return
    arguments.out.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + arguments.budget
    names = [one.name for one in VARIANTS if not arguments.only or one.name in arguments.only]
    rows: list[dict[str, Any]] = []
    for name in names if has_model(place) else [MAKE, *names]:
        if time.monotonic() > deadline:
            break
        row = in_process(name, arguments, arguments.out / f"{name.replace(', ', ' ').replace(' ', '_')}.log")
        if name == MAKE and "failed" not in row:
            continue
        rows.append(row)
        print("ROW", json.dumps(row), flush=True)
        (arguments.out / "train_trl.json").write_text(
            json.dumps({"environment": environment(), "rows": rows}, indent=1), encoding="utf-8"
        )
        if name == MAKE:
            break


def _arguments() -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=[], choices=[one.name for one in VARIANTS])
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--budget", type=float, default=540.0)
    parser.add_argument("--process", default="", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
