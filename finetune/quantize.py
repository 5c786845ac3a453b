"""What quantization costs on this domain: each level against the unquantized reference, on texts of the domain and not.

From a data folder it takes a calibration set (of the training side, pinned by its Digest), the held-out examples and a
general set. The calibration set alone chooses the level and the modules kept in higher precision; the figures that
are reported are those of the other two. It knows examples, levels and figures. Rules: the reference is named as what it
is; a Digest that differs from the pinned one is refused; a slice that carries a level's loss is named, and so are the
inputs that suffer most; nothing is quantized on the disk here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from finetune.answering import Answerer, Prompt
from finetune.examples import ExampleSet, TrainingExample, example_messages
from finetune.quantize_levels import REFERENCE, Level, Swapped, find_level, kinds_of
from finetune.quantize_measure import Measured, TextFigures, logs_of, measure_texts, summary
from finetune.quantize_traffic import distances, traffic_warnings
from finetune.scores import ScoredAnswer, carrying_slices, score, shown_texts, slices
from governance.digests import digest_value
from governance.errors import BadInput

Say = Callable[[float, str], None]
MOST_PROMPT_TOKENS = 2048
_SUFFERING = 5


@dataclass(frozen=True)
class QuantizeRequest:
    """What to measure. Numbers are of examples; `kl_limit` is in nats a token on the calibration set.

    `pinned` is the Digest that the calibration set must have, "" for any; `traffic` are questions really asked.
    """

    levels: tuple[str, ...] = ("int8", "nf4", "nf4_dq", "fp4")
    calibration: int = 32
    held_out: int = 100
    general: int = 60
    answers: int = 40
    kl_limit: float = 0.05
    pinned: str = ""
    traffic: tuple[str, ...] = ()


@dataclass(frozen=True)
class BaseModel:
    """A loaded reference: the model, its tokenizer, and what its weights really are."""

    model: Any
    tokenizer: Any
    said: str
    digest: str


def measure_quantization(
    base: BaseModel, examples: ExampleSet, general: Sequence[tuple[str, str]], request: QuantizeRequest, say: Say
) -> dict[str, Any]:
    """Return the whole result as a JSON value. `general` are (name, text) pairs of another domain.

    Raises BadInput for a data folder without held-out examples, an unknown level, or another calibration set than the
    pinned one.
    """
    chosen = [find_level(name) for name in request.levels]
    calibration, held_out = calibration_set(examples, request), _spread(examples.held_out, request.held_out)
    if not held_out:
        raise BadInput("The data folder has no held-out examples, expected some of other documents; make more data.")
    swapped = Swapped(base.model)
    texts = {
        "calibration": [encode_example(base.tokenizer, one) for one in calibration],
        "held_out": [encode_example(base.tokenizer, one) for one in held_out],
        "general": [encode_text(base.tokenizer, *one) for one in general[: request.general]],
    }
    reference = {name: [logs_of(base.model, text) for text in some] for name, some in texts.items()}
    selection = _select(swapped, chosen, texts["calibration"], reference["calibration"], request)
    rows = _measure_levels(base, (swapped, chosen, selection), held_out, (texts, reference), request=request, say=say)
    swapped.use(None)
    return {
        "reference": {"said": base.said, "digest": base.digest},
        "calibration": {"digest": calibration_digest(calibration), "ids": [one.id for one in calibration]},
        "counts": {name: len(some) for name, some in texts.items()},
        "levels": {name: _without_texts(row) for name, row in rows.items()},
        "slices": _slices(rows, held_out),
        "suffering": _suffering(rows, held_out),
        "selection": selection,
        "traffic": distances([one.question for one in calibration], request.traffic),
        "warnings": traffic_warnings([one.question for one in calibration], request.traffic),
        "data": examples.digest,
    }


def _measure_levels(
    base: BaseModel,
    levels: tuple[Swapped, Sequence[Level], Mapping[str, Any]],
    held_out: Sequence[TrainingExample],
    measured: tuple[Mapping[str, Sequence[Measured]], Mapping[str, Sequence[Any]]],
    *,
    request: QuantizeRequest,
    say: Say,
) -> dict[str, dict[str, Any]]:
    """Return the figures of the reference, of each level, and of the chosen one with the modules it keeps."""
    swapped, chosen, selection = levels
    rows: dict[str, dict[str, Any]] = {}
    for number, level in enumerate([None, *chosen]):
        name = level.name if level else REFERENCE
        say(number / (len(chosen) + 1), name)
        swapped.use(level)
        rows[name] = _measure_level(base, held_out, *measured, request) | {"bits": swapped.bits(level)}
        kept = selection["kept_modules"] if name == selection["level"] else ()
        if level and kept:
            rows[f"{name}+kept"] = _measure_kept(swapped, level, kept, *measured)
    return rows


def calibration_set(examples: ExampleSet, request: QuantizeRequest) -> list[TrainingExample]:
    """Return the calibration examples: those of the training side whose ids come first.

    Raises BadInput where their Digest is not the pinned one.
    """
    found = sorted(examples.train, key=lambda one: one.id)[: request.calibration]
    digest = calibration_digest(found)
    if request.pinned and digest != request.pinned:
        raise BadInput(
            f"The calibration set has the digest {digest}, expected the pinned {request.pinned}; use the data and the "
            "number of examples that it was pinned with, or pin it anew."
        )
    return found


def calibration_digest(calibration: Sequence[TrainingExample]) -> str:
    """Return the Digest of a calibration set."""
    return digest_value([one.id for one in calibration])


def encode_example(tokenizer: Any, example: TrainingExample) -> Measured:
    """Return the tokens of an example's prompt and target, the target and the end of its turn measured."""
    turns = [{"role": turn.role, "content": turn.content} for turn in example_messages(example)]
    prompt = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    before = list(tokenizer(prompt, add_special_tokens=False)["input_ids"])[-MOST_PROMPT_TOKENS:]
    target = list(tokenizer(example.target, add_special_tokens=False)["input_ids"])
    return Measured(example.id, (*before, *target, int(tokenizer.eos_token_id)), len(before))


def encode_text(tokenizer: Any, name: str, text: str) -> Measured:
    """Return the tokens of a plain text, measured from its eighth token on."""
    ids = tuple(tokenizer(text, add_special_tokens=False)["input_ids"])[:256]
    return Measured(name, ids, min(8, max(1, len(ids) - 1)))


def _select(
    swapped: Swapped,
    chosen: Sequence[Level],
    texts: Sequence[Measured],
    reference: Sequence[Any],
    request: QuantizeRequest,
) -> dict[str, Any]:
    """Return the smallest level within the KL limit on the calibration set, keeping kinds of modules where needed."""
    tried: list[dict[str, Any]] = []
    for level in sorted(chosen, key=lambda one: one.bits):
        swapped.use(level)
        kl = summary(measure_texts(swapped.model, texts, reference))["kl"]
        tried.append({"level": level.name, "kl": kl, "bits": swapped.bits(level)})
    within = [one for one in tried if one["kl"] <= request.kl_limit]
    best = within[0] if within else min(tried, key=lambda one: one["kl"])
    level = find_level(best["level"])
    sensitive = _sensitivity(swapped, level, texts, reference)
    kept: list[str] = []
    if not within:
        kinds = kinds_of(swapped.modules)
        kept = [name for kind in list(sensitive)[:2] for name in kinds[kind]]
    swapped.use(level, keep=kept)
    after = summary(measure_texts(swapped.model, texts, reference))["kl"]
    swapped.use(None)
    return {
        "level": level.name,
        "within_limit": after <= request.kl_limit,
        "kl": after,
        "kl_limit": request.kl_limit,
        "bits": swapped.bits(level, keep=kept),
        "kept_modules": kept,
        "sensitivity": sensitive,
        "tried": tried,
    }


def _sensitivity(
    swapped: Swapped, level: Level, texts: Sequence[Measured], reference: Sequence[Any]
) -> dict[str, float]:
    """Return the KL that quantizing each kind of module alone costs, per bit saved of all weights; worst first."""
    few, sizes = texts[: max(4, len(texts) // 4)], swapped.modules
    found = {}
    for kind, names in kinds_of(sizes).items():
        swapped.use(level, only=names)
        kl = summary(measure_texts(swapped.model, few, reference[: len(few)]))["kl"]
        found[kind] = kl / (sum(sizes[name] for name in names) / sum(sizes.values()))
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _measure_level(
    base: BaseModel,
    held_out: Sequence[TrainingExample],
    texts: Mapping[str, Sequence[Measured]],
    reference: Mapping[str, Sequence[Any]],
    request: QuantizeRequest,
) -> dict[str, Any]:
    domain = measure_texts(base.model, texts["held_out"], reference["held_out"])
    general = measure_texts(base.model, texts["general"], reference["general"])
    row: dict[str, Any] = {"domain": summary(domain), "general": summary(general), "texts": domain}
    asked = _spread(held_out, request.answers)
    if asked:
        answerer = Answerer(base.model, base.tokenizer, held=False, max_new_tokens=48)
        answers = answerer.answer([Prompt(example_messages(one), shown_texts(one)) for one in asked])
        scored = [ScoredAnswer(one, said.text, said.confidence) for one, said in zip(asked, answers, strict=True)]
        row["answers"] = score(scored)
    return row


def _measure_kept(
    swapped: Swapped,
    level: Level,
    keep: Sequence[str],
    texts: Mapping[str, Sequence[Measured]],
    reference: Mapping[str, Sequence[Any]],
) -> dict[str, Any]:
    swapped.use(level, keep=keep)
    domain = measure_texts(swapped.model, texts["held_out"], reference["held_out"])
    general = measure_texts(swapped.model, texts["general"], reference["general"])
    bits = swapped.bits(level, keep=keep)
    return {"domain": summary(domain), "general": summary(general), "texts": domain, "bits": bits}


def _slices(rows: Mapping[str, Mapping[str, Any]], held_out: Sequence[TrainingExample]) -> dict[str, Any]:
    """Return for each level perplexity and KL by slice, and the slices that carry its loss against the reference."""
    before: Sequence[TextFigures] = rows[REFERENCE]["texts"]
    sliced = slices(held_out)
    found = {}
    for name, row in rows.items():
        figures: Sequence[TextFigures] = row["texts"]
        changes = [after.loss - first.loss for after, first in zip(figures, before, strict=True)]
        found[name] = {
            "by": {
                kind: {value: summary([figures[number] for number in members]) for value, members in values.items()}
                for kind, values in sliced.items()
            },
            "carrying": [] if name == REFERENCE else carrying_slices(changes, sliced),
        }
    return found


def _suffering(rows: Mapping[str, Mapping[str, Any]], held_out: Sequence[TrainingExample]) -> dict[str, Any]:
    """Return the inputs with the largest KL at each level."""
    found = {}
    for name, row in rows.items():
        if name == REFERENCE:
            continue
        worst = sorted(zip(row["texts"], held_out, strict=True), key=lambda pair: -pair[0].kl)[:_SUFFERING]
        found[name] = [
            {"id": one.id, "kind": one.kind, "document": one.document, "question": one.question, "kl": figures.kl}
            for figures, one in worst
        ]
    return found


def _without_texts(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "texts"}


def _spread(examples: Sequence[TrainingExample], number: int) -> list[TrainingExample]:
    """Return at most `number` examples in the order of their ids, which is that of chance."""
    return sorted(examples, key=lambda one: one.id)[:number]
