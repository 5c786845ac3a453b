"""How often text recognition is wrong, and how long it takes: scans beside their gold text, and PDFs that need none.

    python -m benchmarks.ocr_error SCANS [--text FOLDER] [--out FILE]

SCANS holds NAME.scan.pdf beside NAME.gold.txt. The character error rate of a document is the Levenshtein distance
between its gold text and what was read, by the number of gold characters; white space counts as one space, and nothing
else is forgiven, so that another reading order counts as error. `--text` names a folder of ordinary PDFs: those of
which no page needs recognition are read by `parse_pdf` and timed apart.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from rapidfuzz.distance import Levenshtein

from benchmarks.measured import VERSIONED, Figure, versions, write_result
from governance.errors import BadInput
from ingest.parse.ocr import HOW_TO_GET, OcrEngine, find_engine
from ingest.parse.pdf import open_pdf, parse_pdf, recognize_page
from ingest.parse.pdf_ocr import DOTS_PER_INCH


@dataclass(frozen=True)
class Row:
    """One scanned document: error rates from 0 up, seconds of the clock and of the processor."""

    name: str
    pages: int
    characters: int
    edits: int
    letters_error: float
    confidence: float
    seconds: float
    processor_seconds: float

    @property
    def error(self) -> float:
        return self.edits / self.characters


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scans", type=Path)
    parser.add_argument("--text", type=Path)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    engine = find_engine()
    if engine is None:
        raise BadInput(f"There is no engine to measure: {HOW_TO_GET}.")
    rows = [read_scan(path, engine) for path in sorted(arguments.scans.glob("*.scan.pdf"))]
    figures = figures_of(rows) | (time_text(arguments.text) if arguments.text else {})
    print(json.dumps(figures, indent=1))
    if arguments.out:
        write_result(
            arguments.out,
            figures,
            versions=versions([*VERSIONED, "pypdfium2", "rapidfuzz"]) | {"engine": engine.name},
            dots_per_inch=DOTS_PER_INCH,
            documents={row.name: {"cer": round(row.error, 4), "pages": row.pages} for row in rows},
        )


def read_scan(path: Path, engine: OcrEngine) -> Row:
    """Read every page of a scan, timed from drawing on, and compare with the gold text."""
    name = path.name.removesuffix(".scan.pdf")
    gold = folded(path.with_name(f"{name}.gold.txt").read_text(encoding="utf-8"))
    with open_pdf(path) as document:
        pages = len(document)
    started, worked = time.monotonic(), time.process_time()
    read = [recognize_page(path, number, engine) for number in range(1, pages + 1)]
    seconds, processor_seconds = time.monotonic() - started, time.process_time() - worked
    text = folded("\n".join(line.text for page in read for line in page.lines))
    row = Row(
        name=name,
        pages=pages,
        characters=len(gold),
        edits=Levenshtein.distance(gold, text),
        letters_error=Levenshtein.normalized_distance(letters(gold), letters(text)),
        confidence=statistics.mean(page.confidence for page in read),
        seconds=seconds,
        processor_seconds=processor_seconds,
    )
    print(f"{row.error:.4f}  {row.pages:3} pages  {row.seconds / row.pages:.2f} s a page  {name}", flush=True)
    return row


def figures_of(rows: list[Row]) -> dict[str, Figure]:
    pages = sum(row.pages for row in rows)
    return {
        "documents": len(rows),
        "pages": pages,
        "cer median": statistics.median(row.error for row in rows),
        "cer worst": max(row.error for row in rows),
        "cer all characters": sum(row.edits for row in rows) / sum(row.characters for row in rows),
        "cer letters and digits median": statistics.median(row.letters_error for row in rows),
        "mean confidence": statistics.mean(row.confidence for row in rows),
        "seconds a page": sum(row.seconds for row in rows) / pages,
        "processor seconds a page": sum(row.processor_seconds for row in rows) / pages,
    }


def time_text(folder: Path) -> dict[str, Figure]:
    """Return how fast PDFs are read of which no page needs recognition."""
    pages, seconds = 0, 0.0
    for path in sorted(folder.rglob("*.pdf")):
        started = time.monotonic()
        document = parse_pdf(path, ocr="never")
        if any("(OCR)" in warning for warning in document.warnings):
            continue
        seconds += time.monotonic() - started
        pages += len(document.pages)
    return {"pages without recognition": pages, "pages without recognition a second": pages / seconds}


def folded(text: str) -> str:
    return " ".join(text.split())


def letters(text: str) -> str:
    return "".join(filter(str.isalnum, text))


if __name__ == "__main__":
    main()
