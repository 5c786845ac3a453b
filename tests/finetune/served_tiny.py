"""A tiny Llama as a pulled model, with its manifest, and examples that its tokenizer reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from finetune.examples import REFUSAL, ExamplePassage, ExampleSet, TrainingExample, named, write_examples
from governance.models import MANIFEST, Manifest, describe_folder
from tests.finetune.tiny_llama import write_served_llama

TINY = "tiny"


def write_tiny_model(models: Path) -> Manifest:
    """Write the model `tiny` into a model folder."""
    folder = models / TINY
    folder.mkdir(parents=True)
    write_served_llama(folder)
    conversion: dict[str, Any] = {"source_format": "safetensors", "quantization": "nf4-dq"}
    manifest = Manifest(TINY, "llm", "made for tests", "1", "none", "sha256:0", conversion, describe_folder(folder))
    (folder / MANIFEST).write_text(manifest.to_json())
    return manifest


def tiny_examples(folder: Path, *, train: int = 12, held_out: int = 9) -> ExampleSet:
    """Write examples of limits, every third without its answer."""
    made = [_example(number) for number in range(train + held_out)]
    return write_examples(folder, train=made[:train], held_out=made[train:], manifest={"origin": "test"})


def _example(number: int) -> TrainingExample:
    absent = number % 3 == 0
    text = "the policy is in question" if absent else f"the limit for thing {number} is {100 + number} dollars"
    return named(
        TrainingExample(
            id="",
            kind="unanswerable" if absent else "clause",
            question=f"what is the limit for thing {number}?",
            passages=(ExamplePassage(f"c{number}", f"policy {number // 2}", "", "Policy", text),),
            target=REFUSAL if absent else f"{100 + number} dollars",
            abstains=absent,
            document=f"policy {number // 2}",
            origin="test",
        )
    )
