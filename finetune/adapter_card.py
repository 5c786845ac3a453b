"""The model card of an adapter: `README.md` in its folder, made of what its manifest and that of its data state.

    python -m finetune.adapter_card FOLDER --data FOLDER_OF_EXAMPLES [--made FOLDER ...] [--source TEXT ...]
                                    [--licence NAME]

writes the card of an adapter anew, and with it the adapter's manifest, which names the card by Digest like any other
file: so the adapter gets another Digest, and its weights keep theirs. `--made` and `--source` name folders of
`provenant finetune data` and sources with their licences that the data's manifest does not state; `--licence` is the
owner's to choose. It knows manifests and Markdown, never a tensor. Rules: equal manifests give equal bytes, so there
is no date and no path in a card; a figure is that of the run or is not there; an adapter that is damaged, or was fitted
on other data, keeps the card that it has.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from assistant.adapter import MANIFEST, WEIGHTS, AdapterManifest, OpenedAdapter, read_adapter
from assistant.prompt import REFUSAL
from finetune.checkpoints import full_disk_as_advice
from finetune.example_sources import made_statement, stated_sources
from finetune.examples import ExampleSet, read_examples
from finetune.lora import target_modules
from governance.digests import digest_text, digest_value, short
from governance.errors import BadInput, Damaged, ProvenantError

CARD = "README.md"
_QUANTIZATIONS = {"nf4": "NF4 (4 bits)", "nf4_dq": "NF4 (4 bits), double-quantized", "bf16": "bfloat16"}
_FIGURES = {
    "held_out_loss": "loss, mean over the tokens of the targets, in nats",
    "held_out_exact": "share of the targets that greedy decoding writes exactly",
    "held_out_exact_answerable": "the same, of examples with an answer",
    "held_out_refuses_absent": "the same, of examples without one, whose target is the refusal",
}
_RUN = ("first_loss", "last_loss", "steps", "trained_numbers")
_HELD_OUT = """Measured at the end of the run on the held-out examples, which are of other documents; the passages are
those of the examples, so retrieval has no part in it."""
_NO_HELD_OUT = "Nothing was measured on held-out examples."
_USE = f"""## Intended use

Given a question and passages in the served prompt, it quotes the words of a passage that answer, or says
"{REFUSAL}". It is not a source of knowledge: facts come from the passages alone, and an answer has to be
checked against the passage that it stands in. Without passages, or in another prompt, nothing is known of it."""
_LIMITS = f"""## Limits

- It refuses: "{REFUSAL}" is said where no passage answers, and at times where one does.
- It may miss: an answer can be the wrong run of words, a part of the right one, or an answer where none stands.
- It is meant for English contracts and policies; other languages and other kinds of text were not measured.
- It was fitted to one task: the general ability of the base is reduced. Take the base alone for anything else.
- It belongs to the base, the quantization and the prompt named here. PEFT loads it onto any base of equal sizes
  without a word, and the answers are then wrong; Provenant refuses that."""
_LOADING = """## Loading

With PEFT, BASE being the folder of the base named above and FOLDER this one:

```python
base = transformers.AutoModelForCausalLM.from_pretrained("BASE")
model = peft.PeftModel.from_pretrained(base, "FOLDER")
```

In Provenant, by the setting `answer.adapter`:

```toml
[answer]
adapter = "FOLDER"
```"""


def adapter_card(manifest: AdapterManifest, data: Mapping[str, Any], *, licence: str = "") -> str:
    """Return the card of an adapter, Markdown with YAML front matter; `data` is the manifest of its examples."""
    parts = (
        _front_matter(manifest, licence),
        _description(manifest, licence),
        _USE,
        _data(manifest, data),
        _recipe(manifest),
        _figures(manifest),
        _LIMITS,
        _LOADING,
        _environment(manifest),
        _digests(manifest),
    )
    return "\n\n".join(parts) + "\n"


def write_card(
    folder: Path, manifest: AdapterManifest, data: Mapping[str, Any], *, licence: str = ""
) -> AdapterManifest:
    """Write the card and the manifest into a folder that has all other files; return the manifest, which names it."""
    text = adapter_card(manifest, data, licence=licence)
    (folder / CARD).write_text(text, encoding="utf-8", newline="")
    described = replace(manifest, files={**manifest.files, CARD: digest_text(text)})
    (folder / MANIFEST).write_text(described.to_json(), encoding="utf-8", newline="")
    return described


def rewrite_card(
    folder: Path,
    data: ExampleSet,
    *,
    made: Sequence[ExampleSet] = (),
    sources: Sequence[str] = (),
    licence: str = "",
) -> OpenedAdapter:
    """Write the card of an adapter anew, and its manifest; `made` and `sources` are added to what the data state.

    Raises BadInput where there is no adapter, or it was fitted on other data, or nothing of a folder in `made` is in
    them, and Damaged for an adapter that is not as its manifest says. Then nothing is changed.
    """
    opened = read_adapter(folder)
    folder, manifest = opened.folder.resolve(), opened.manifest
    if digest_value(dict(manifest.recipe)) != manifest.recipe_digest:
        raise Damaged(f"{folder / MANIFEST} states another recipe than its digest does; take an intact copy.")
    if manifest.data_digest != data.digest:
        raise BadInput(
            f"The adapter {folder.name} was fitted on the data {short(manifest.data_digest)}, and these are "
            f"{short(data.digest)}; name the folder of the examples that it was fitted on."
        )
    stated = _completed(data, made, sources)
    aside = folder.with_name(f".{folder.name}.writing")
    shutil.rmtree(aside, ignore_errors=True)
    with full_disk_as_advice(aside):
        shutil.copytree(folder, aside)
        described = write_card(aside, manifest, stated, licence=licence)
    shutil.rmtree(folder)
    aside.rename(folder)
    return OpenedAdapter(folder, described)


def _completed(data: ExampleSet, made: Sequence[ExampleSet], sources: Sequence[str]) -> dict[str, Any]:
    """Return the data's manifest with more that it was made of."""
    taken = {one.id for one in data.train}
    for one in made:
        if taken.isdisjoint(example.id for example in one.train):
            raise BadInput(
                f"No example of the folder with the digest {short(one.digest)} is among those that the adapter was "
                "fitted on; name a folder that was taken into them."
            )
    known = [dict(one) for one in data.manifest.get("made", ())]
    added = [made_statement(one.manifest) for one in made]
    known += [one for one in added if one["digest"] not in {other["digest"] for other in known}]
    return {**data.manifest, "sources": [*stated_sources(data.manifest), *sources], "made": known}


def _front_matter(manifest: AdapterManifest, licence: str) -> str:
    """Return what model hubs read; JSON texts are YAML texts."""
    tags = ["lora", "question-answering", "retrieval-augmented-generation", "provenant"]
    lines = [f"base_model: {json.dumps(manifest.base)}", "base_model_relation: adapter", "library_name: peft"]
    lines += [f"license: {json.dumps(licence)}"] if licence else []
    lines += ["language:", "- en", "pipeline_tag: text-generation", "tags:", *(f"- {tag}" for tag in tags)]
    return "\n".join(["---", *lines, "---"])


def _description(manifest: AdapterManifest, licence: str) -> str:
    recipe = manifest.recipe
    kind = "DoRA" if recipe["dora"] else "LoRA"
    modules = ", ".join(f"`{name.rpartition('.')[2]}`" for name in target_modules(recipe["targets"]))
    quantization = _QUANTIZATIONS.get(manifest.quantization, manifest.quantization)
    scaling = ", scaled by the root of the rank (rsLoRA)" if recipe["rslora"] else ""
    return f"""# {kind} adapter for {_line(manifest.base)}

A {kind} adapter of rank {recipe["rank"]}, alpha {recipe["alpha"]:g}{scaling}, on {modules}.

- Base: {_line(manifest.base)}, `{manifest.base_digest}`
- Quantization of the base that it was fitted on: {quantization}
- Licence: {_line(licence) or "not stated; it is for the owner of the weights to name. The base has its own"}"""


def _data(manifest: AdapterManifest, data: Mapping[str, Any]) -> str:
    counts = data.get("examples", {})
    lines = [f"- Digest: `{manifest.data_digest}`"]
    lines += [f"- Examples: {counts['train']:,} to learn from, {counts['held_out']:,} held out"] if counts else []
    lines += [f"- Made by: `{_line(data['made_by'])}`"] if data.get("made_by") else []
    for made in data.get("made", ()):
        named = f"the collection {_line(made['collection'])}" if made.get("collection") else "a collection"
        lines += [f"- Among them what `provenant finetune data` made of {named}: `{made['digest']}`"]
    sources = [f"- {_line(source)}" for source in stated_sources(data)]
    listed = ["", "Sources and their licences:", "", *sources] if sources else ["- Sources: not stated"]
    return "\n".join(["## Data", "", *lines, *listed])


def _recipe(manifest: AdapterManifest) -> str:
    rows = ((f"`{name}`", _value(value)) for name, value in sorted(manifest.recipe.items()))
    return "\n".join(["## Recipe", "", *_table(("setting", "value"), rows)])


def _figures(manifest: AdapterManifest) -> str:
    metrics = manifest.metrics
    rows = [(_FIGURES[name], f"{metrics[name]:.4f}") for name in _FIGURES if name in metrics]
    rows += [(name.replace("_", " "), _value(metrics[name])) for name in _RUN if name in metrics]
    said = _HELD_OUT if any(name in metrics for name in _FIGURES) else _NO_HELD_OUT
    table = ["", *_table(("figure", "value"), rows)] if rows else []
    return "\n".join(["## Figures of the run", "", said, *table])


def _environment(manifest: AdapterManifest) -> str:
    rows = ((_line(name), _line(version)) for name, version in sorted(manifest.environment.items()))
    return "\n".join(["## Environment", "", *_table(("library", "version"), rows)])


def _digests(manifest: AdapterManifest) -> str:
    named = {
        f"weights (`{WEIGHTS}`)": manifest.files[WEIGHTS],
        "recipe": manifest.recipe_digest,
        "prompt": manifest.prompt_digest,
        "tokenizer": manifest.tokenizer_digest,
        "chat template": manifest.template_digest,
    }
    rows = ((name, f"`{digest}`") for name, digest in named.items())
    return "\n".join(["## Digests", "", *_table(("what", "digest"), rows)])


def _table(head: tuple[str, str], rows: Iterable[tuple[str, str]]) -> list[str]:
    return [f"| {first} | {second} |" for first, second in (head, ("---", "---"), *rows)]


def _value(value: Any) -> str:
    """Return a number, a name or a truth as a card shows it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else _line(value)


def _line(text: object) -> str:
    """Return a text in one line that ends no cell of a table."""
    return " ".join(str(text).split()).replace("|", "\\|")


def main() -> None:
    """Write the card of an adapter anew, by the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the adapter")
    parser.add_argument("--data", type=Path, required=True, help="the examples that it was fitted on")
    parser.add_argument("--made", type=Path, action="append", default=[], help="a folder that was taken into them")
    parser.add_argument("--source", action="append", default=[], help='such as "Title: licence"')
    parser.add_argument("--licence", default="", help="of the adapter, as model hubs name it")
    named = parser.parse_args()
    try:
        made = [read_examples(folder) for folder in named.made]
        data = read_examples(named.data)
        opened = rewrite_card(named.folder, data, made=made, sources=named.source, licence=named.licence)
    except ProvenantError as error:
        parser.exit(error.exit_code, f"{error}\n")
    sys.stderr.write(f"{opened.folder / CARD} is written; the adapter's digest is {opened.manifest.digest}.\n")


if __name__ == "__main__":
    main()
