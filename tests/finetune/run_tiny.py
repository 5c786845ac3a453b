"""A run in a process of its own: `python -m tests.finetune.run_tiny BASE OUT`, for tests that kill or join it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from finetune.train import Base, train_adapter
from governance.models import Manifest, describe_folder
from tests.finetune.test_train import RECIPE, example_set


def main() -> None:
    """Train as the test that starts this does in its own process, and write the losses."""
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    manifest = Manifest(
        name="tiny", kind="llm", source="made here", revision="1", licence="CC0-1.0", made_from="sha256:0",
        conversion={"quantization": "none"}, files=describe_folder(folder),
    )  # fmt: skip
    recipe = replace(RECIPE, epochs=12, evaluate_every=1)
    trained = train_adapter(example_set(), base=Base(folder, manifest), recipe=recipe, out=out)
    (out / "losses").write_text("\n".join(str(loss) for loss in trained.losses))


if __name__ == "__main__":
    main()
