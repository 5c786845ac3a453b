"""A Desk that says what a script tells it to, over real documents: pages are parsed and drawn by the real engines.

Each question has its Script. `hold` keeps an ask waiting after its Drafts until `release` is called or the person
stops, so that a test can look at a half-written answer without guessing at times.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from threading import Event

from assistant.answer import Answer, AnswerSentence, AskEvent, Citation, Draft, Step, Usage
from assistant.retrieve import Passage
from governance.errors import Busy, ProvenantError
from ingest.documents import ParsedDocument
from ingest.index import Stored
from ingest.parse import parse_file
from ingest.parse.picture import draw_page
from ui.desk import Badge

CORPUS = Path(__file__).parents[2] / "samples" / "corpus"
CHARTER = "policies/data-governance-committee-charter.pdf"
OVERTIME = "policies/overtime-and-comp-time.md"
HOSTILE = (
    "<img src=x onerror=\"window.broken='yes'\"><script>window.broken='yes'</script>"
    " {{constructor}} ${window.broken='yes'} </textarea>'\"><b>bold</b>"
)
HOSTILE_FILE = "uploads/<script>window.broken='yes'</script><img src=x onerror=window.broken=1>.md"

MEETINGS = "How often does the data governance steering committee have to meet?"
TIES = "And what happens when a vote is tied?"
CREDIT = "How many credit hours can I have banked at one time?"
UNKNOWN = "What is the warranty on the office chairs?"
BROKEN = "What do the archived contracts say?"
ODD = f"What does this do: {HOSTILE}"
LONG = "Tell me everything about the committee."
SUGGESTIONS = (MEETINGS, CREDIT, UNKNOWN)
BADGE = Badge(
    release_id="r-7f3a9c21",
    model="SmolLM2-135M-Instruct",
    quantization="NF4",
    adapter="house-style-3",
    index_date=date(2026, 3, 14),
    documents=25,
    points=1843,
)


@dataclass(frozen=True)
class Script:
    """What one question gets: Steps and Drafts, then an Answer or an error."""

    events: tuple[AskEvent, ...]
    error: ProvenantError | None = None
    hold: bool = False


@dataclass
class ScriptedDesk:
    """A Desk for tests. `asked` remembers what the page passed on; `stopped` the questions that a person stopped."""

    seconds_between_words: float = 0.0
    held: Event = field(default_factory=Event)
    asked: list[dict[str, object]] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)

    def collections(self) -> list[str]:
        return ["policies", "contracts"]

    def ask(
        self, question: str, *, collection: str, conversation: str, as_of: date | None, stop: Event
    ) -> Iterator[AskEvent]:
        self.asked.append(
            {"question": question, "collection": collection, "conversation": conversation, "as_of": as_of}
        )
        script = self.scripts[question]
        for event in script.events:
            if isinstance(event, Answer) and script.hold:
                self._wait(stop)
            if stop.wait(self.seconds_between_words if isinstance(event, Draft) else 0):
                self.stopped.append(question)
                return
            yield event
        if script.error:
            raise script.error

    def badge(self, collection: str) -> Badge:
        return BADGE

    def picture(self, citation: Citation) -> bytes | None:
        if not citation.document.endswith(".pdf") or citation.page is None:
            return None
        span = (citation.char_start, citation.char_end)
        runs = self.document(citation.document).runs
        return draw_page(CORPUS / citation.document, page=citation.page, spans=[span], runs=runs)

    def surroundings(self, citation: Citation) -> tuple[str, str, str]:
        if citation.document == HOSTILE_FILE:
            return (f"Before {HOSTILE} ", citation.quote, f" after {HOSTILE}")
        text = self.document(citation.document).text
        start, end = citation.char_start, citation.char_end
        return text[max(0, start - 400) : start], text[start:end], text[end : end + 400]

    def trace_link(self, trace_id: str) -> str:
        return f"/traces/{trace_id}"

    def suggestions(self, collection: str) -> list[str]:
        return list(SUGGESTIONS)

    def document(self, name: str) -> ParsedDocument:
        """Return a parsed sample document."""
        if name not in self._parsed:
            self._parsed[name] = parse_file(CORPUS / name)
        return self._parsed[name]

    def cite(self, number: int, name: str, start: str, end: str) -> Citation:
        """Return a Citation of the words from `start` to `end` of a sample document."""
        parsed = self.document(name)
        first = parsed.text.index(start)
        last = parsed.text.index(end, first) + len(end)
        clause = next(clause for clause in reversed(parsed.clauses) if clause.start <= first < clause.end)
        return Citation(
            number=number,
            document=name,
            version="v1",
            title=parsed.title,
            page=parsed.page_at(first),
            clause=clause.number,
            path=clause.path,
            char_start=first,
            char_end=last,
            quote=parsed.text[first:last],
            score=0.9,
        )

    @cached_property
    def scripts(self) -> dict[str, Script]:
        """Return the Script of every question that is known."""
        held = self._meetings()
        return {
            MEETINGS: held,
            f"{MEETINGS} Slowly.": replace(held, hold=True),
            TIES: self._ties(),
            CREDIT: self._credit(),
            UNKNOWN: self._unknown(),
            BROKEN: Script(
                (Step("condense", "", 4.0),),
                error=Busy("The archive is being indexed by another process; ask again in a minute."),
            ),
            ODD: self._odd(),
            LONG: self._long(),
        }

    @cached_property
    def _parsed(self) -> dict[str, ParsedDocument]:
        return {}

    def _wait(self, stop: Event) -> None:
        while not self.held.wait(0.02) and not stop.is_set():
            pass

    def _meetings(self) -> Script:
        first = self.cite(1, CHARTER, "The DGSC will meet at least quarterly", "provide direction.")
        second = self.cite(2, CHARTER, "If the vote outcome is", "deciding vote.")
        third = self.cite(3, OVERTIME, "You can have up to 24 credit hours", "given time.")
        sentences = (
            AnswerSentence("The steering committee meets at least once a quarter.", "supported", (1,)),
            AnswerSentence("It can also vote on urgent matters between meetings.", "partly", (2, 3)),
        )
        return self._script(MEETINGS, sentences, (first, second, third))

    def _ties(self) -> Script:
        cited = self.cite(1, CHARTER, "If the vote outcome is", "deciding vote.")
        sentences = (AnswerSentence(cited.quote, "supported", (1,)),)
        query = "What happens when a vote in the data governance steering committee ends in a tie?"
        script = self._script(TIES, sentences, (cited,), query=query)
        return replace(script, events=(*script.events[:-1], replace(_last(script), wording="verbatim")))

    def _credit(self) -> Script:
        cited = self.cite(1, OVERTIME, "You can have up to 24 credit hours", "given time.")
        sentences = (AnswerSentence("You can have up to 24 credit hours at any time.", "supported", (1,)),)
        return self._script(CREDIT, sentences, (cited,))

    def _unknown(self) -> Script:
        reason = "No passage says anything about a warranty on office furniture."
        near = [
            self.cite(1, OVERTIME, "You can have up to 24 credit hours", "given time."),
            self.cite(2, CHARTER, "The DGSC will meet at least quarterly", "provide direction."),
        ]
        passages = tuple(_passage(citation) for citation in near)
        answer = _answer(UNKNOWN, abstained=True, reason=reason, wording="none", passages=passages)
        return Script((*_steps("", 3), answer))

    def _odd(self) -> Script:
        cited = Citation(1, HOSTILE_FILE, "v1", "", None, HOSTILE, (HOSTILE,), 0, len(HOSTILE), HOSTILE, 0.5)
        sentences = (AnswerSentence(f"It says {HOSTILE}", "partly", (1,)),)
        return self._script(ODD, sentences, (cited,))

    def _long(self) -> Script:
        cited = self.cite(1, CHARTER, "The DGSC will meet at least quarterly", "provide direction.")
        sentences = tuple(
            AnswerSentence(
                f"Statement {count} about what the committee does and who takes part in it.", "supported", (1,)
            )
            for count in range(1, 31)
        )
        return self._script(LONG, sentences, (cited,))

    def _script(
        self, question: str, sentences: tuple[AnswerSentence, ...], citations: tuple[Citation, ...], *, query: str = ""
    ) -> Script:
        words = " ".join(sentence.text for sentence in sentences)
        drafts = tuple(Draft(f"{word} ") for word in words.split(" "))
        answer = _answer(question, query=query or question, sentences=sentences, citations=citations)
        steps = _steps(query, 3)
        return Script((*steps, *drafts, Step("write", "", 2310.0), Step("check", "", 38.0), answer))


def answer_to(desk: ScriptedDesk, question: str) -> Answer:
    """Return the Answer that ends a question's Script."""
    return _last(desk.scripts[question])


def _steps(query: str, count: int) -> tuple[Step, ...]:
    steps = (Step("condense", query, 12.0), Step("retrieve", "20 passages", 41.0), Step("judge", "0.83", 9.0))
    return steps[:count]


def _last(script: Script) -> Answer:
    last = script.events[-1]
    assert isinstance(last, Answer)
    return last


def _passage(citation: Citation) -> Passage:
    stored = Stored(
        id=f"chunk-{citation.number}",
        document=citation.document,
        version=citation.version,
        title=citation.title,
        clause=citation.clause,
        path=citation.path,
        kind="clause",
        page=citation.page,
        start=citation.char_start,
        end=citation.char_end,
        text=citation.quote,
        labels=(),
        effective_from=0,
        effective_to=0,
    )
    return Passage(stored, citation.number, 0.4, 0.4, 0.0)


def _answer(question: str, **said: object) -> Answer:
    blank = Answer(
        answer="",
        abstained=False,
        reason="",
        wording="model",
        citations=(),
        sentences=(),
        passages=(),
        question=question,
        query=question,
        collection="policies",
        conversation="",
        release_id=BADGE.release_id,
        trace_id="t-0001",
        timings_ms={"total": 2410.0},
        usage=Usage(832, 41),
    )
    return replace(blank, **said)  # type: ignore[arg-type]
