"""The command `finetune compare`: adapters against their base on held-out examples, or all runs beside each other.

It loads what is compared and refuses to know how. Rule: the base stands first, over the weights that the first adapter
was fitted on.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from governance.errors import BadInput
from ui.cli_corpus import AsJson
from ui.cli_finetune_options import Base, Device, General, MaybeData, MaybeOut, at_least, give_out, one_of
from ui.terminal import progress_bar, tell

if TYPE_CHECKING:
    from finetune.compare import Contestant


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("compare")(compare)


def compare(
    data: MaybeData = None,
    adapter: Annotated[
        list[Path] | None, typer.Option("--adapter", help="Adapter folder; several may be named.")
    ] = None,
    base: Base = "",
    weights: Annotated[
        str, typer.Option(help="Base weights: as the first adapter was fitted, or reference, nf4, nf4_dq.")
    ] = "",
    held: Annotated[bool, typer.Option("--held/--free", help="Hold answers to runs of the passages, for all.")] = False,
    fit_refusal: Annotated[
        int, typer.Option(help="With --held: training examples on which each fits when it refuses; 0 for none.")
    ] = 0,
    without_passages: Annotated[bool, typer.Option("--without-passages", help="Also ask without any passage.")] = False,
    limit: Annotated[int, typer.Option(help="Held-out examples answered.")] = 500,
    batch: Annotated[int, typer.Option(help="Examples answered at once.")] = 16,
    general: General = None,
    device: Device = "",
    mlflow: Annotated[Path | None, typer.Option(help="Also write all runs as an MLflow file store here.")] = None,
    out: MaybeOut = None,
    as_json: AsJson = False,
) -> None:
    """Compare a base with its adapters on held-out documents; without --adapter, list all runs by recipe and seed."""
    from finetune.compare import compare_runs
    from finetune.compare_text import comparison_text, runs_text
    from finetune.runs import list_runs, runs_folder
    from governance.settings import load_settings

    settings = load_settings()
    records = list_runs(runs_folder(settings.home))
    if mlflow is not None:
        from finetune.runs_mlflow import export_runs

        tell(f"{export_runs(records, mlflow)} runs written to {mlflow}.")
    if not adapter or data is None:
        if adapter:
            raise BadInput(
                "Adapters are compared on examples, and --data names none; give a folder of `finetune data`."
            )
        rows = compare_runs(records)
        give_out({"runs": rows}, runs_text(rows), out, as_json)
        return
    asked = {"data": data, "general": general, "limit": limit, "held": held, "batch": batch, "fit": fit_refusal}
    found = _contest(asked, adapter, (base or settings.answer.model, weights, device), without_passages)
    give_out(found, comparison_text(found), out, as_json)


def _contest(
    asked: Mapping[str, Any], adapters: list[Path], named: tuple[str, str, str], without_passages: bool
) -> dict[str, Any]:
    from finetune.compare import Contest, Contestant, compare, run_contestant
    from finetune.examples import read_examples
    from finetune.general import read_general

    whole = read_examples(asked["data"])
    examples = sorted(whole.held_out, key=lambda one: one.id)[: asked["limit"]]
    if not examples:
        raise BadInput(f"{asked['data']} has no held-out examples; make more data, of more documents.")
    contest = Contest(
        examples=examples,
        general=read_general(asked["general"]),
        held=asked["held"],
        fit_on=sorted(whole.train, key=lambda one: one.id)[: asked["fit"]],
        without_passages=without_passages,
        batch=at_least("--batch", asked["batch"], 1),
    )
    outcomes = []
    for number in range(len(adapters) + 1):
        contestant: Contestant = _contestant(Contestant, adapters, number, named)
        with progress_bar(contestant.name) as show:
            outcomes.append(run_contestant(contestant, contest, show))
    return compare(outcomes)


def _contestant(make: Any, adapters: list[Path], number: int, named: tuple[str, str, str]) -> Any:
    """Load the base (number 0) or the base with an adapter, over the weights that the adapters were fitted on."""
    from finetune.adapters import open_adapter
    from finetune.compare import method_of
    from finetune.loading import Weights, load_base, with_adapter
    from governance.models import open_model
    from governance.settings import load_settings

    base, weights, device = named
    models = load_settings().models
    _, manifest = open_model(models, base, "llm")
    opened = [open_adapter(folder, manifest) for folder in adapters]
    recipe = opened[max(0, number - 1)].manifest.recipe
    fitted = str(recipe.get("quantization", ""))
    chosen: Weights = one_of(
        "--weights", weights or (fitted if fitted.startswith("nf4") else "reference"), ("reference", "nf4", "nf4_dq")
    )
    loaded = load_base(models, base, weights=chosen, device=device or None)
    if number == 0:
        return make(base, loaded)
    folder = adapters[number - 1]
    size = (folder / "adapter_model.safetensors").stat().st_size
    return make(str(folder), with_adapter(loaded, folder), method_of(recipe), size)
