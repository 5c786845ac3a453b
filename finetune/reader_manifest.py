"""The manifest of an adapter: what it was trained on, how, for how long, and what came out.

It knows names, counts and digests, never a tensor. Rule: it names the files it speaks of by Digest, so that a claim
can be followed to the bytes.
"""

from __future__ import annotations

import json
import platform
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from finetune.reader_groups import Group, GroupFile
from governance.digests import digest_file

_LIBRARIES = ("torch", "transformers", "tokenizers", "safetensors", "numpy")


@dataclass(frozen=True)
class Outcome:
    """How a run went: steps done, wall clock in seconds, device, mean losses of the last steps, test figures."""

    steps: int
    seconds: float
    device: str
    losses: Mapping[str, float]
    test: Mapping[str, Mapping[str, float | int | None]]


@dataclass(frozen=True)
class Files:
    """The files of a run: data, folder of the base encoder, adapter, and an earlier one that near misses come from."""

    data: Path
    base: Path
    adapter: Path
    miner: Path | None = None


def write_manifest(files: Files, data: GroupFile, *, recipe: Mapping[str, object], outcome: Outcome) -> Path:
    """Write the manifest beside the adapter, ending in .json, and return its path."""
    value = {
        "adapter": digest_file(files.adapter),
        "base": {path.name: digest_file(path) for path in sorted(files.base.glob("*.safetensors"))},
        "data": {
            "digest": digest_file(files.data),
            "sources": dict(data.sources),
            "groups": count_groups(data.groups),
            "pairs": sum(len(group.candidates) for group in data.groups),
        },
        "mined_with": digest_file(files.miner) if files.miner else None,
        "recipe": dict(recipe),
        "run": {"steps": outcome.steps, "seconds": round(outcome.seconds, 1), "device": outcome.device},
        "losses": {name: round(loss, 4) for name, loss in outcome.losses.items()},
        "test": outcome.test,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}},
    }
    path = files.adapter.with_suffix(".json")
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def count_groups(groups: Sequence[Group]) -> dict[str, dict[str, int]]:
    """Return how many groups there are by source, then by split."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for group in groups:
        counts[group.source][group.split] += 1
    return {source: dict(sorted(counts[source].items())) for source in sorted(counts)}
