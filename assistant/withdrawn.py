"""Which releases a withdrawal concerns: those whose corpus held the text, and those whose adapter learned from it.

    text -> Generations built with it -> releases            text -> adapters fitted on it -> releases

No release answers from a withdrawn text; what an adapter learned from it stays in its weights, so whoever withdraws is
told which releases those are. It knows records and Digests. Rule: an adapter that does not state its documents counts
as unknown, never as clean; the one that is shipped was fitted on published sets alone (its README.md names them).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from assistant.adapter import MANIFEST, PACKAGED_FOLDER, read_adapter
from assistant.training_data import find_training_data
from governance.release import ReleaseManifest, generations_holding, list_releases


@dataclass(frozen=True)
class ConcernedReleases:
    """Ids of releases, oldest first; `unknown` are those whose adapter does not state what it was fitted on."""

    held: tuple[str, ...]
    trained: tuple[str, ...]
    unknown: tuple[str, ...]
    adapters: tuple[str, ...]  # Digests of the adapters behind `trained`

    def to_value(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "releases_that_held_it": list(self.held),
            "releases_trained_on_it": list(self.trained),
            "releases_with_unknown_training": list(self.unknown),
            "adapters_trained_on_it": list(self.adapters),
        }

    def lines(self) -> list[str]:
        """Return the same in sentences."""
        said = [f"{len(self.held)} releases held it{_named(self.held)}"]
        said.append(f"{len(self.trained)} releases were trained on it{_named(self.trained)}")
        if self.trained:
            said.append("what an adapter learned from it stays in its weights: fit it again on data without it")
        if self.unknown:
            said.append(f"{len(self.unknown)} releases have an adapter that does not state its documents")
        return said


def concerned_releases(session: Session, home: Path, collection: str, digests: Collection[str]) -> ConcernedReleases:
    """Return the releases that texts of a collection concern. Raises Damaged for a kept record that cannot be read."""
    holding = generations_holding(session, collection, digests)
    releases = list_releases(session)
    held = [one.id for one in releases if collection in one.collections and _generation(one, collection) in holding]
    verdicts = {adapter: _learned(home, adapter, digests) for adapter in {_adapter(one) for one in releases}}
    trained = [one.id for one in releases if verdicts[_adapter(one)]]
    unknown = [one.id for one in releases if verdicts[_adapter(one)] is None]
    adapters = sorted(adapter for adapter, learned in verdicts.items() if learned)
    return ConcernedReleases(tuple(held), tuple(trained), tuple(unknown), tuple(adapters))


def _generation(release: ReleaseManifest, collection: str) -> str:
    return release.collections[collection].generation


def _adapter(release: ReleaseManifest) -> str:
    return str(release.answering.get("adapter") or "")


def _learned(home: Path, adapter: str, digests: Collection[str]) -> bool | None:
    """Tell whether an adapter was fitted on any of these texts, None where that is not known."""
    if not adapter or adapter == _packaged():
        return False
    found = find_training_data(home, adapter)
    if found is None or found.documents is None:
        return None
    return not found.documents.isdisjoint(digests)


def _packaged() -> str:
    return read_adapter(PACKAGED_FOLDER).manifest.digest if (PACKAGED_FOLDER / MANIFEST).is_file() else ""


def _named(releases: Collection[str]) -> str:
    return f": {', '.join(releases)}" if releases else ""
