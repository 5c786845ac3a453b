"""Runs in a process of its own, for tests that kill or join it: `python -m tests.finetune.run_tiny BASE OUT [RECIPES]`.

RECIPES is a JSON file of what differs from the tests' recipe, by the name of a folder in OUT, or one run is in OUT.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

from finetune import train
from finetune.workers import Workers, join_workers
from governance.models import Manifest, describe_folder
from tests.finetune.test_train import RECIPE, example_set


class Staying(Workers):
    """Processes that stay joined from run to run: those of one torchrun find each other once only."""

    def leave(self) -> None:
        """Stay."""


def main() -> None:
    """Train as the test that starts this does in its own process, and write the losses."""
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    manifest = Manifest(
        name="tiny", kind="llm", source="made here", revision="1", licence="CC0-1.0", made_from="sha256:0",
        conversion={"quantization": "none"}, files=describe_folder(folder),
    )  # fmt: skip
    recipes = json.loads(Path(sys.argv[3]).read_text()) if len(sys.argv) > 3 else {"": {}}
    joined = join_workers("cpu")
    try:
        with patch.object(train, "join_workers", partial(_stay, joined)):
            for name, changes in recipes.items():
                recipe = replace(RECIPE, **{"epochs": 12, "evaluate_every": 1, **changes})
                trained = train.train_adapter(
                    example_set(), base=train.Base(folder, manifest), recipe=recipe, out=out / name
                )
                (out / name / "losses").write_text("\n".join(str(loss) for loss in trained.losses))
    finally:
        joined.leave()


def _stay(joined: Workers, device: str, *, in_step: bool = False) -> Workers:
    del device
    return Staying(joined.rank, joined.count, in_step)


if __name__ == "__main__":
    main()
