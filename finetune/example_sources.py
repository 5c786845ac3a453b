"""Where training examples come from, as their manifest states it: labelled sets, and folders made of collections.

It knows manifests and refuses to know examples. A manifest may state `sources`, a title and a licence for each name,
and `made`, a list of the folders that `provenant finetune data` wrote and that were taken in. Rule: what is not stated
is not guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def made_statement(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a manifest says of the folder it describes, for the `made` of another that takes it in."""
    stated = {"collection": str(manifest.get("collection", "")), "digest": str(manifest.get("digest", ""))}
    sources = manifest.get("sources")
    return {**stated, "sources": sources} if sources else stated


def stated_sources(manifest: Mapping[str, Any]) -> list[str]:
    """Return the sources of a manifest and of what it was made of, each once and in order."""
    found = _texts(manifest.get("sources"))
    for made in manifest.get("made", ()):
        found += _texts(made.get("sources"))
    return list(dict.fromkeys(found))


def _texts(sources: object) -> list[str]:
    if isinstance(sources, Mapping):
        return [str(value) for value in sources.values()]
    return [str(value) for value in sources] if isinstance(sources, list | tuple) else []
