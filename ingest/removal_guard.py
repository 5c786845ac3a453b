"""Whether an ingest may take so many documents out: a share that is not mounted looks like a folder that was emptied.

Pure rules over the corpus before and after the files were read. A folder in which no file is left, and one that lost
more than half of its documents and more than a handful, is refused until an owner says that it is meant. A document
that only moved was not removed. A folder that cannot be looked into hides its files, and that is refused too.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path

from governance.errors import RefusedByPolicy
from ingest.sources import SourceFile
from ingest.versions import Corpus, Version, active_version

MOST_SHARE = 0.5
A_HANDFUL = 5


def check_removals(
    before: Corpus, after: Corpus, sources: Sequence[SourceFile], roots: Collection[str], *, accept: bool
) -> None:
    """Raise RefusedByPolicy where a folder would lose most of its documents, unless that is accepted.

    `sources` are the files that were found, `roots` the folders that were ingested.
    """
    for root in sorted(roots):
        held = [name for name, versions in before.items() if _root_of(versions) == root]
        gone = [name for name in held if _is_removed(after.get(name, ()))]
        if not gone:
            continue
        _check_sight(Path(root), gone)
        emptied = not any(source.root == root for source in sources)
        most = len(gone) > max(A_HANDFUL, MOST_SHARE * len(held))
        if (emptied or most) and not accept:
            raise RefusedByPolicy(_sentence(root, gone, len(held), emptied=emptied))


def _sentence(root: str, gone: Sequence[str], held: int, *, emptied: bool) -> str:
    found = "has no files" if emptied else "no longer has most of its files"
    named = ", ".join(gone[:3]) + (" ..." if len(gone) > 3 else "")
    return (
        f"The folder {root} {found}: {len(gone)} of its {held} documents would leave the index ({named}). Nothing was "
        "changed. Check that the folder is whole, mounted for example; if they are to go, add --accept-removals."
    )


def _check_sight(root: Path, gone: Sequence[str]) -> None:
    """Raise RefusedByPolicy where a folder of missing files is there and may not be looked into."""
    for folder in sorted({parent for name in gone for parent in (root / name).parents if parent.is_relative_to(root)}):
        if folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK):
            raise RefusedByPolicy(
                f"The folder {folder} may not be looked into, so its documents cannot be told from removed ones. "
                "Nothing was changed; give this user the right to read it and run the ingest again."
            )


def _root_of(versions: Sequence[Version]) -> str:
    active = active_version(versions)
    return active.source_root if active is not None else ""


def _is_removed(versions: Sequence[Version]) -> bool:
    return active_version(versions) is None and any(version.status == "removed" for version in versions)
