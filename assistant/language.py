"""Language: tell whether a question is in a language that the embedder knows.

How a language is told stands in `ingest.language`. The result is a note beside an answer, never a refusal.
"""

from __future__ import annotations

from collections.abc import Sequence

from ingest.language import NAMES, language_of


def language_note(question: str, *, known: Sequence[str] = ("en",)) -> str:
    """Return a sentence for the asker where the question is in a language that the embedder does not know, or ""."""
    code = language_of(question)
    if not code or code in known:
        return ""
    names = " and ".join(NAMES.get(one, one) for one in known)
    return f"The question seems to be in {NAMES[code]}; the search knows {names}. Ask in {names} for better results."
