"""How long the examples of a data folder are in a model's tokens: the profile that the plan calculates with."""

from __future__ import annotations

from pathlib import Path

from assistant.metrics import percentile
from finetune.examples import ExampleSet, TrainingExample, example_messages
from finetune.plan_time import Lengths
from governance.errors import NotFound

_SAMPLE = 2000  # examples that are counted; evenly spread over the set
_TEMPLATE_TOKENS = 12  # role marks of the chat template, for two messages and the answer
_CHARACTERS_A_TOKEN = 4.2  # where no tokenizer is at hand; English contracts, SmolLM2's vocabulary


def measure_lengths(examples: ExampleSet, tokenizer_file: Path | None) -> Lengths:
    """Return lengths of the training examples, with a `tokenizer.json`, or estimated from characters without one.

    Raises NotFound where the file is named and absent.
    """
    step = max(1, len(examples.train) // _SAMPLE)
    sample = examples.train[::step]
    prompts = ["\n".join(message.content for message in example_messages(one)) for one in sample]
    prompt_tokens = _count(prompts, tokenizer_file)
    completion_tokens = _count([one.target for one in sample], tokenizer_file)
    totals = [
        prompt + completion + _TEMPLATE_TOKENS + 1
        for prompt, completion in zip(prompt_tokens, completion_tokens, strict=True)
    ]
    return Lengths(
        median=percentile(totals, 0.5),
        high=percentile(totals, 0.95),
        completion=sum(completion_tokens) / len(sample) + 1,
        examples=len(examples.train),
        mean=sum(totals) / len(totals),
    )


def length_of(example: TrainingExample) -> int:
    """Return the characters of an example's prompt, for grouping by length without a tokenizer."""
    return sum(len(message.content) for message in example_messages(example))


def _count(texts: list[str], tokenizer_file: Path | None) -> list[float]:
    if tokenizer_file is None:
        return [len(text) / _CHARACTERS_A_TOKEN for text in texts]
    if not tokenizer_file.is_file():
        raise NotFound(f"{tokenizer_file} is not there, expected the base's tokenizer; run `provenant models pull`.")
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return [float(len(found.ids)) for found in tokenizer.encode_batch(texts, add_special_tokens=False)]
