"""What ingestion keeps of each version, under its Digest: the source bytes, the parsed text, the Chunks with vectors.

Everything here can be made again from the source, and is written aside and renamed, so a killed run leaves whole
files or none. The next run takes up what is there: that is how an ingest resumes, and why an unchanged file costs
nothing.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from governance.errors import Damaged, NotFound
from ingest.chunks import Chunk
from ingest.documents import ParsedDocument

Matrix = NDArray[np.float32]  # (chunks, dimension)


class Artefacts:
    """Files below one folder, by version Digest."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def keep_source(self, version: str, source: Path) -> Path:
        """Keep a source under its Digest and its own file name, once, and return the kept file."""
        target = self._folder(version) / "source" / source.name
        if not target.exists():
            _write_aside(target, source.read_bytes())
        return target

    def source(self, version: str) -> Path:
        """Return the kept source of a version. Raises NotFound."""
        found = sorted(path for path in (self._folder(version) / "source").glob("*") if path.suffix != ".part")
        if not found:
            raise NotFound(f"The source of version {version[:19]} is not in {self.root}. Run the ingest again.")
        return found[0]

    def keep_parsed(self, version: str, parser: str, parsed: ParsedDocument) -> None:
        """Store a parsed document."""
        _write_aside(self._parsed(version, parser), parsed.to_json().encode("utf-8"))

    def parsed(self, version: str, parser: str) -> ParsedDocument:
        """Return a parsed document. Raises NotFound or Damaged."""
        path = self._parsed(version, parser)
        try:
            return ParsedDocument.from_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise NotFound(f"The text of version {version[:19]} is not in {self.root}. Ingest it again.") from error
        except (ValueError, KeyError, TypeError) as error:
            raise Damaged(f"{path} is damaged ({error}). Remove it and run the ingest again.") from error

    def has_parsed(self, version: str, parser: str) -> bool:
        """Tell whether a parsed document is there."""
        return self._parsed(version, parser).is_file()

    def keep_chunks(self, version: str, name: str, chunks: Sequence[Chunk], vectors: Matrix) -> None:
        """Store Chunks with their vectors (row by row) under a name that says how they were cut and embedded."""
        base = self._folder(version) / name
        lines = "\n".join(json.dumps(asdict(chunk), ensure_ascii=False) for chunk in chunks)
        _write_aside(base.with_suffix(".jsonl"), lines.encode("utf-8"))
        aside = base.with_suffix(f".{os.getpid()}.part.npy")
        aside.parent.mkdir(parents=True, exist_ok=True)
        np.save(aside, vectors)
        aside.rename(base.with_suffix(".npy"))

    def has_chunks(self, version: str, name: str) -> bool:
        """Tell whether Chunks and their vectors are there; the vectors are written last."""
        return (self._folder(version) / f"{name}.npy").is_file()

    def chunks(self, version: str, name: str) -> tuple[list[Chunk], Matrix] | None:
        """Return stored Chunks and vectors, or None where they are absent or do not fit together."""
        base = self._folder(version) / name
        try:
            lines = base.with_suffix(".jsonl").read_text(encoding="utf-8")
            vectors: Matrix = np.load(base.with_suffix(".npy"), allow_pickle=False)
            chunks = [_chunk(json.loads(line)) for line in lines.split("\n") if line]
        except (FileNotFoundError, ValueError, TypeError, EOFError):
            return None
        return (chunks, vectors) if len(chunks) == len(vectors) else None

    def remove(self, version: str) -> None:
        """Remove everything kept of a version."""
        shutil.rmtree(self._folder(version), ignore_errors=True)

    def _folder(self, version: str) -> Path:
        digest = version.removeprefix("sha256:")
        return self.root / digest[:2] / digest

    def _parsed(self, version: str, parser: str) -> Path:
        return self._folder(version) / f"parsed-{parser}.json"


def _chunk(value: dict[str, Any]) -> Chunk:
    return Chunk(**{**value, "path": tuple(value["path"])})


def _write_aside(target: Path, data: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f"{target.name}.{os.getpid()}.part")
    with aside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    aside.rename(target)
