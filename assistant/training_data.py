"""What the adapters that were served here learned from: Digests of data and of document versions, by adapter.

An adapter's folder may lie anywhere and may go; a release names its adapter by Digest for good. So what an adapter
says of its training is kept below the home folder when it is first served, and a withdrawal still finds the releases
that were trained on a document. It knows Digests and no weights. Rule: what an adapter does not state is not known,
and is said to be.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from assistant.adapter import OpenedAdapter
from governance.digests import short
from governance.errors import Damaged

_WHOLE = 64


@dataclass(frozen=True)
class TrainingData:
    """What an adapter was fitted on; `documents` is None where it does not state them."""

    adapter: str
    data: str
    documents: frozenset[str] | None


def keep_training_data(home: Path, opened: OpenedAdapter) -> TrainingData:
    """Keep what an adapter states of its training, once, and return it."""
    stated = TrainingData(opened.manifest.digest, opened.manifest.data_digest, opened.documents())
    path = _path(home, stated.adapter)
    if not path.is_file():
        documents = None if stated.documents is None else sorted(stated.documents)
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f"{path.name}.{os.getpid()}.part")
        aside.write_text(json.dumps({"adapter": stated.adapter, "data": stated.data, "documents": documents}))
        aside.rename(path)
    return stated


def find_training_data(home: Path, adapter: str) -> TrainingData | None:
    """Return what an adapter, by Digest, was fitted on, None where it was never served here. Raises Damaged."""
    path = _path(home, adapter)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        documents = None if value["documents"] is None else frozenset(map(str, value["documents"]))
        return TrainingData(str(value["adapter"]), str(value["data"]), documents)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(f"{path} cannot be read ({error}); remove it, and it is written anew when served.") from error


def _path(home: Path, adapter: str) -> Path:
    return home / "adapters" / f"{short(adapter, _WHOLE)}.json"
