"""The Desk on top of the assistant: what the page shows comes from the same service as the API and the commands."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from threading import Event

from assistant.answer import AskEvent, Citation
from assistant.service import AssistantService
from assistant.turn import AskRequest
from governance.access import Principal, local_owner
from governance.digests import short
from governance.errors import NotFound
from governance.store import GenerationRecord
from ingest.versions import read_corpus
from ui.desk import Badge

_MOST_SUGGESTIONS = 4
_SAMPLE_SUGGESTIONS = (
    "How often does the data governance steering committee have to meet?",
    "How long is the product warranty that Todos gives Care G. B. Plus?",
    "What does the Canon EOS 7D kit with the 18-135mm lens cost?",
    "What is the daily meal allowance when I travel to Chicago for work?",
)


class ServiceDesk:
    """Answers the page's calls from one service; shared by all sessions and without state of its own."""

    def __init__(self, service: AssistantService) -> None:
        self._service = service

    def collections(self) -> list[str]:
        """Return the collections of the live release."""
        return self._service.collections()

    def ask(
        self, question: str, *, collection: str, conversation: str, as_of: date | None, stop: Event
    ) -> Iterator[AskEvent]:
        """Ask as the owner of this home."""
        request = AskRequest(question, collection, self._principal(), conversation, as_of)
        return self._service.ask(request, stop=stop)

    def badge(self, collection: str) -> Badge:
        """Return what would answer now. Raises NotFound for an unknown collection."""
        release = self._service.release()
        state = release.collections.get(collection)
        if state is None:
            raise NotFound(f"There is no collection {collection!r} any more.")
        with self._service.store.session() as session:
            record = session.get(GenerationRecord, state.generation)
        model = self._service.models.identity
        return Badge(
            release_id=release.id,
            model=model.name,
            quantization=model.quantization,
            adapter=f"adapter {short(model.adapter)}" if model.adapter else None,
            index_date=record.created_at.date() if record else date.today(),
            documents=record.documents if record else 0,
            points=record.points if record else 0,
        )

    def picture(self, citation: Citation) -> bytes | None:
        """Return the cited page with the span marked, None for a source without pages that can be drawn."""
        texts, page = self._service.texts, citation.page
        if page is None or not texts.is_drawable(citation.document, citation.version, page):
            return None
        span = (citation.char_start, citation.char_end)
        return texts.picture(citation.document, citation.version, page=page, span=span)

    def surroundings(self, citation: Citation) -> tuple[str, str, str]:
        """Return the text around a cited span."""
        around = self._service.texts.surroundings(
            citation.document, citation.version, citation.char_start, citation.char_end
        )
        return around.before, around.span, around.after

    def trace_link(self, trace_id: str) -> str:
        """Return the address of a trace's page."""
        return f"/traces/{trace_id}"

    def suggestions(self, collection: str) -> list[str]:
        """Return questions about the sample corpus where it is loaded, else one for each of the first documents."""
        with self._service.store.session() as session:
            corpus = read_corpus(session, collection)
        if "contracts/todos-medical-reseller-agreement.pdf" in corpus:
            return list(_SAMPLE_SUGGESTIONS)
        titles = dict.fromkeys(versions[-1].title for versions in corpus.values() if versions[-1].status == "active")
        return [f"What does {title} say about ...?" for title in list(titles)[:_MOST_SUGGESTIONS]]

    def _principal(self) -> Principal:
        with self._service.store.session() as session:
            return local_owner(session)
