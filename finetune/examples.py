"""Training examples: what is asked, the passages shown, and what the assistant should say; and the folder they lie in.

A folder holds `train.jsonl`, `held_out.jsonl` (other documents) and `manifest.json`, which states how they were made
and the Digest of both files. It knows texts, digests and kinds, never a tensor, and refuses to know how an example was
made. Rules: the prompt of an example is the served one, from the same function; a target that is no refusal is made of
words that stand in the passages; a file that is not what its manifest says is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from assistant.generation import Message
from assistant.prompt import PROMPT_DIGEST, prompt_messages
from assistant.prompt import REFUSAL as REFUSAL  # noqa: PLC0414 whoever makes or reads examples takes it from here
from governance.digests import digest_text, digest_value, short
from governance.errors import BadInput

FORMAT = 1
TRAIN, HELD_OUT, MANIFEST = "train.jsonl", "held_out.jsonl", "manifest.json"
LEAST_EXAMPLES = 2
Kind: TypeAlias = Literal[
    "clause",
    "definition",
    "table",
    "attribute",
    "attribute_change",
    "multi_chunk",
    "version_conflict",
    "unanswerable",
    "out_of_scope",
    "labelled",
]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class ExamplePassage:
    """A passage as the prompt shows it: `source` is the line above it; `digest` is its document's, "" for unknown."""

    chunk_id: str
    document: str
    digest: str
    source: str
    text: str


@dataclass(frozen=True)
class TrainingExample:
    """A question with its Context and the answer to learn.

    `document` decides on which side of the split it stands, `origin` says how it was made, `generation` names the
    index Generation its passages came from, "" for none.
    """

    id: str
    kind: Kind
    question: str
    passages: tuple[ExamplePassage, ...]
    target: str
    abstains: bool
    document: str
    origin: str
    generation: str = ""


@dataclass(frozen=True)
class ExampleSet:
    """The examples of a folder: those to learn from, those of other documents to measure on, and the manifest."""

    train: tuple[TrainingExample, ...]
    held_out: tuple[TrainingExample, ...]
    manifest: Mapping[str, Any]
    digest: str


def example_messages(example: TrainingExample) -> list[Message]:
    """Return the served prompt of an example, without its answer."""
    return prompt_messages(example.question, [(passage.source, passage.text) for passage in example.passages])


def named(example: TrainingExample) -> TrainingExample:
    """Return an example under its id: the Digest of what it asks, shows and answers."""
    shown = [[passage.source, passage.text] for passage in example.passages]
    return replace(example, id=short(digest_value([example.question, shown, example.target]), 16))


def write_examples(
    folder: Path,
    *,
    train: Sequence[TrainingExample],
    held_out: Sequence[TrainingExample],
    manifest: Mapping[str, Any],
) -> ExampleSet:
    """Write a folder of examples and return it as `read_examples` would; equal examples give equal bytes.

    Raises BadInput for fewer than two examples, and where the folder cannot be written.
    """
    _check_number(train, held_out, "what was to be written")
    texts = {TRAIN: _lines(train), HELD_OUT: _lines(held_out)}
    digest = _digest_of(texts)
    whole = {
        **manifest,
        "format": FORMAT,
        "digest": digest,
        "prompt": PROMPT_DIGEST,
        "refusal": REFUSAL,
        "examples": {"train": len(train), "held_out": len(held_out)},
        "documents": document_digests(train),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8", newline="")
        (folder / MANIFEST).write_text(json.dumps(whole, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise BadInput(
            f"{folder} cannot be written ({error.strerror}); name a folder with room that you may write."
        ) from error
    return ExampleSet(tuple(train), tuple(held_out), whole, digest)


def document_digests(examples: Iterable[TrainingExample]) -> list[str]:
    """Return the Digests of the document versions that examples show, as far as they are known."""
    return sorted({passage.digest for one in examples for passage in one.passages if passage.digest})


def read_examples(folder: Path) -> ExampleSet:
    """Read a folder of examples.

    Raises BadInput where a file is missing, damaged, of another format or prompt, or where there are fewer than two
    examples. `train` is empty where a folder is for measuring only: who trains has to refuse that.
    """
    manifest = _read_manifest(folder)
    texts = {name: _read(folder / name) for name in (TRAIN, HELD_OUT)}
    digest = _digest_of(texts)
    if digest != manifest["digest"]:
        raise BadInput(
            f"The examples in {folder} are not those that {MANIFEST} names (digest {short(digest)}, expected "
            f"{short(str(manifest['digest']))}); make them again with `provenant finetune data`."
        )
    train, held_out = (_read_lines(folder / name, text) for name, text in texts.items())
    _check_number(train, held_out, str(folder))
    return ExampleSet(train, held_out, manifest, digest)


def example_value(example: TrainingExample) -> dict[str, Any]:
    """Return the JSON form of an example."""
    return asdict(example)


def read_example(value: Mapping[str, Any]) -> TrainingExample:
    """Read the JSON form of an example. Raises KeyError, TypeError or ValueError where it is none."""
    passages = tuple(
        ExamplePassage(**{name: _text(one[name]) for name in _PASSAGE_FIELDS}) for one in value["passages"]
    )
    if value["kind"] not in KINDS:
        raise ValueError(f"unknown kind {value['kind']!r}")
    if not isinstance(value["abstains"], bool):
        raise TypeError("abstains is neither true nor false")
    texts = {name: _text(value[name]) for name in _TEXT_FIELDS}
    if not texts["question"].strip() or not texts["target"].strip():
        raise ValueError("the question or the target is empty")
    if value["abstains"] != (texts["target"] == REFUSAL):
        raise ValueError(f"abstains and the target {texts['target'][:40]!r} do not agree")
    return TrainingExample(kind=value["kind"], passages=passages, abstains=value["abstains"], **texts)


_PASSAGE_FIELDS = ("chunk_id", "document", "digest", "source", "text")
_TEXT_FIELDS = ("id", "question", "target", "document", "origin", "generation")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{str(value)[:40]!r} is no text")
    return value


def _lines(examples: Iterable[TrainingExample]) -> str:
    return "".join(json.dumps(example_value(one), ensure_ascii=False) + "\n" for one in examples)


def _digest_of(texts: Mapping[str, str]) -> str:
    return digest_value({name: digest_text(text) for name, text in texts.items()})


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"{path} cannot be read ({error}); a folder that `provenant finetune data` wrote was expected."
        ) from error


def _read_manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(_read(folder / MANIFEST))
        wanted = {"format": FORMAT, "prompt": PROMPT_DIGEST, "refusal": REFUSAL}
        differ = [name for name, value in wanted.items() if manifest[name] != value]
        missing = [name for name in ("digest", "examples") if name not in manifest]
        if missing:
            raise KeyError(missing[0])
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{folder / MANIFEST} is no manifest of examples ({error!r}); make the examples again with "
            "`provenant finetune data`."
        ) from error
    if differ:
        raise BadInput(
            f"The examples in {folder} were made for another {' and '.join(differ)} than this version serves; make "
            "them again with `provenant finetune data`."
        )
    return dict(manifest)


def _read_lines(path: Path, text: str) -> tuple[TrainingExample, ...]:
    examples = []
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            examples += [read_example(json.loads(line))] if line else []
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(
                f"Line {number} of {path} is no training example ({error}); make the examples again with "
                "`provenant finetune data`."
            ) from error
    return tuple(examples)


def _check_number(train: Sequence[object], held_out: Sequence[object], where: str) -> None:
    """Refuse a folder of one example, or of none; one to measure on has only examples held out."""
    found = len(train) or len(held_out)
    if found < LEAST_EXAMPLES or len(train) == 1:
        raise BadInput(
            f"There {'is 1 example' if found == 1 else f'are {found} examples'} in {where} and at least "
            f"{LEAST_EXAMPLES} were expected; add documents, or raise the limit of `provenant finetune data`."
        )
