"""What ingestion keeps of each version, under its Digest: the source bytes, the parsed text, the Chunks with vectors.

Everything here can be made again from the source, and is written aside and renamed, so a killed run leaves whole
files or none. The next run takes up what is there: that is how an ingest resumes, and why an unchanged file costs
nothing.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from governance.errors import Damaged, NotFound
from ingest.chunks import Chunk
from ingest.documents import ParsedDocument
from ingest.quality import Quality, measure_quality

Matrix = NDArray[np.float32]  # (chunks, dimension)
Vector = NDArray[np.float32]  # (dimension,)


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
        """Store a parsed document and how well it was read."""
        self._keep_quality(version, parser, measure_quality(parsed))
        _write_aside(self._parsed(version, parser), parsed.to_json().encode("utf-8"))

    def quality(self, version: str, parser: str) -> Quality:
        """Return how well a version was read, measured now where that was not kept. Raises NotFound or Damaged."""
        try:
            return Quality.from_value(json.loads(self._quality(version, parser).read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError, AttributeError):
            measured = measure_quality(self.parsed(version, parser))
            self._keep_quality(version, parser, measured)
            return measured

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

    def each_chunk(self, version: str, name: str) -> Iterator[tuple[Chunk, Vector]] | None:
        """Return stored Chunks with their vectors one by one, or None where they are absent or do not fit together.

        No more than one Chunk is in memory; the vectors stay in their file. Raises Damaged on the way where a line is.
        """
        base = self._folder(version) / name
        lines = base.with_suffix(".jsonl")
        try:
            vectors: Matrix = np.load(base.with_suffix(".npy"), mmap_mode="r", allow_pickle=False)
            held = _count_lines(lines)
        except (FileNotFoundError, ValueError, EOFError):
            return None
        return _each(lines, vectors) if held == len(vectors) else None

    def remove(self, version: str) -> None:
        """Remove everything kept of a version."""
        shutil.rmtree(self._folder(version), ignore_errors=True)

    def _folder(self, version: str) -> Path:
        digest = version.removeprefix("sha256:")
        return self.root / digest[:2] / digest

    def _keep_quality(self, version: str, parser: str, quality: Quality) -> None:
        _write_aside(self._quality(version, parser), json.dumps(quality.to_value()).encode("utf-8"))

    def _quality(self, version: str, parser: str) -> Path:
        return self._folder(version) / f"quality-{parser}.json"

    def _parsed(self, version: str, parser: str) -> Path:
        return self._folder(version) / f"parsed-{parser}.json"


def _count_lines(path: Path) -> int:
    with path.open("rb") as file:
        ended = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
        return ended + bool(file.tell())  # the last line has no end


def _each(path: Path, vectors: Matrix) -> Iterator[tuple[Chunk, Vector]]:
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            for line, vector in zip(file, vectors, strict=True):
                yield _chunk(json.loads(line)), np.asarray(vector)
    except (ValueError, TypeError, KeyError) as error:
        raise Damaged(f"{path} is damaged ({error}). Remove it and run the ingest again.") from error


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
