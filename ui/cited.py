"""Cited: how a Citation is named, placed and opened wherever the page shows one.

Pure functions from a Citation to words and HTML; it knows no answer and no panel.
"""

from __future__ import annotations

from assistant.answer import Citation
from ui.markup import Html, element


def place(citation: Citation) -> str:
    """Return where a Citation stands, in words: "page 3, clause 4.2", or the last heading where there is no number."""
    parts = [f"page {citation.page}"] if citation.page is not None else []
    if citation.clause:
        parts.append(f"clause {citation.clause}")
    elif citation.path:
        parts.append(citation.path[-1])
    return ", ".join(parts)


def name(citation: Citation) -> str:
    """Return the title of a cited document, or its logical name where it has none."""
    return citation.title or citation.document


def lines(citation: Citation) -> str | None:
    """Return the class that keeps line ends: a page's are where the paper ended, those of other sources are meant."""
    return "pv-lines" if citation.page is None else None


def chip(citation: Citation, turn: int) -> Html:
    """Return the button that opens a Citation of a turn (from 1) in the evidence panel."""
    label = ", ".join(part for part in (f"Source {citation.number}: {name(citation)}", place(citation)) if part)
    return element(
        "button",
        str(citation.number),
        type="button",
        class_="pv-chip",
        data_open=f"{turn}:{citation.number}",
        title=label,
        aria_label=label,
    )
