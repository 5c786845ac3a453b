"""Citations: computed, not asked for.

Each sentence of an answer is tied to the span that supports it; equal spans get one number. A quote is a slice of the
stored text, and is compared with the version's own text once more before anybody sees it: a Citation that does not
stand where it says it stands is dropped, and its sentence loses its support.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from assistant.answer import AnswerSentence, Citation
from assistant.support import Finding, Window

ReadSpan = Callable[[str, str, int, int], str]  # document, version, start, end -> the text there
PageAt = Callable[[str, str, int], int | None]  # document, version, offset -> page number


class CitationList:
    """Numbers Citations in order of first use."""

    def __init__(self, read_span: ReadSpan, page_at: PageAt) -> None:
        self._read_span = read_span
        self._page_at = page_at
        self._found: dict[tuple[str, str, int, int], Citation] = {}

    @property
    def citations(self) -> tuple[Citation, ...]:
        """Return all Citations by number."""
        return tuple(self._found.values())

    def cite(self, window: Window, *, score: float) -> int | None:
        """Return the number of the Citation of a span, or None where the span's text is not at its place."""
        chunk = window.passage.chunk
        key = (chunk.document, chunk.version, window.start, window.end)
        if key in self._found:
            return self._found[key].number
        if self._read_span(*key) != window.text:
            return None
        citation = Citation(
            number=len(self._found) + 1,
            document=chunk.document,
            version=chunk.version,
            title=chunk.title,
            page=self._page_at(chunk.document, chunk.version, window.start),
            clause=chunk.clause,
            path=chunk.path,
            char_start=window.start,
            char_end=window.end,
            quote=window.text,
            score=round(score, 4),
        )
        self._found[key] = citation
        return citation.number

    def sentence(self, text: str, finding: Finding) -> AnswerSentence:
        """Return a sentence with its Support and its Citation, where it has one."""
        if finding.window is None or finding.support == "unsupported":
            return AnswerSentence(text, "unsupported", ())
        number = self.cite(finding.window, score=finding.coverage)
        return AnswerSentence(text, finding.support, (number,)) if number else AnswerSentence(text, "unsupported", ())


def with_markers(sentences: Sequence[AnswerSentence]) -> str:
    """Return the answer as one text, each sentence followed by the numbers of its Citations."""
    marked = [
        f"{sentence.text} {''.join(f'[{number}]' for number in sentence.citations)}".rstrip() for sentence in sentences
    ]
    return " ".join(marked)
