"""The conversation as a person sees it: questions, the work in progress, checked answers, and honest refusals.

Pure functions from values to HTML. Knows no Gradio and no service. Its rules: a Draft never looks like an Answer;
nothing is shown as supported that was not checked; an error is the sentence it carries.
"""

from __future__ import annotations

from collections.abc import Iterable

from assistant.answer import Answer, AnswerSentence, Citation, StepName
from assistant.clarification import Clarification
from assistant.retrieve import Passage
from ui.cited import chip, lines, name, place
from ui.desk import Badge
from ui.disagreements import disagreements
from ui.markup import Html, element, together
from ui.progress import Progress

_MOST_NEAREST = 5
_MOST_NEAREST_CHARACTERS = 180
_STEP_ORDER: tuple[StepName, ...] = ("condense", "retrieve", "judge", "write", "check")
_STEP_LABELS: dict[StepName, tuple[str, str]] = {  # while it runs, when it ended
    "condense": ("Reading the question", "Read"),
    "retrieve": ("Searching", "Searched"),
    "judge": ("Judging what was found", "Judged"),
    "write": ("Writing", "Written"),
    "check": ("Checking the citations", "Checked"),
}


def turn(
    progress: Progress, *, number: int, badge: Badge | None = None, trace_link: str = "", busy: bool = False
) -> Html:
    """Return one question with what came of it. Citation chips name this turn by its number (from 1).

    While a turn is `busy` the page offers Stop in the place of Send.
    """
    return element(
        "article",
        element("p", element("span", "You asked: ", class_="pv-hidden"), progress.question, class_="pv-question"),
        *_outcome(progress, number=number, badge=badge, trace_link=trace_link),
        class_="pv-turn",
        aria_busy="true" if busy else None,
    )


def welcome(suggestions: Iterable[str], *, collection: str, badge: Badge | None) -> Html:
    """Return what an empty conversation shows: what can be asked, of what, and a few questions to begin with."""
    held = f"{badge.documents:,} documents, indexed {badge.index_date.isoformat()}." if badge else ""
    buttons = [element("li", element("button", text, type="button", data_ask=text)) for text in suggestions]
    return element(
        "section",
        element("h2", "Ask the documents"),
        element("p", "Answers come with the page they rest on, or say that the documents do not answer."),
        element("p", element("strong", collection), f" holds {held}" if held else "", class_="pv-held"),
        element("ul", *buttons, class_="pv-suggestions", aria_label="Example questions") if buttons else "",
        class_="pv-welcome",
    )


def divider(text: str) -> Html:
    """Return a quiet line between turns, for example where another collection was chosen."""
    return element("p", element("span", text), class_="pv-divider")


def problem(sentence: str) -> Html:
    """Return an error as the sentence it is."""
    return element(
        "div",
        element("strong", "That did not work"),
        element("p", sentence),
        class_="pv-box pv-problem",
        role="alert",
    )


def openable(answer: Answer) -> tuple[Citation, ...]:
    """Return what the evidence panel may open: the Citations, or the nearest Passages of an Abstention."""
    if not answer.abstained:
        return answer.citations
    return tuple(_as_citation(passage) for passage in answer.passages[:_MOST_NEAREST])


def _outcome(progress: Progress, *, number: int, badge: Badge | None, trace_link: str) -> list[Html]:
    if progress.error:
        return [problem(progress.error)]
    if progress.answer is None:
        return [_work(progress), *_draft(progress)]
    body = _abstention if progress.answer.abstained else _answer
    return [
        _rewritten(progress.answer.query, progress.question),
        body(progress.answer, number),
        disagreements(progress.answer, number),
        _asked_back(progress.answer.clarification),
        *(element("p", note, class_="pv-note", role="note") for note in progress.answer.notes),
        _footer(progress.answer, progress, badge=badge, trace_link=trace_link),
    ]


def _asked_back(clarification: Clarification | None) -> Html:
    """Return the question back, each way to go on being asked by a click."""
    if clarification is None:
        return together()
    options = [
        element("li", element("button", option.label, type="button", data_ask=option.question))
        for option in clarification.options
    ]
    opening = clarification.question.split(":")[0].rstrip("?") + "?" if options else clarification.question
    asked = element("p", opening)
    choices = element("ul", *options, class_="pv-suggestions", aria_label="Ways to ask it") if options else ""
    return element("div", asked, choices, class_="pv-asked-back")


def _work(progress: Progress) -> Html:
    """Return the line of steps: those that ended with their times, and the one that runs."""
    done = {step.name: step for step in progress.steps}
    following = max((_STEP_ORDER.index(step) for step in done), default=-1) + 1
    running = "" if progress.ended or following == len(_STEP_ORDER) else _running(_STEP_ORDER[following])
    rewritten = done["condense"].detail if "condense" in done else ""
    return together(
        element("ol", *_ended_steps(progress), running, class_="pv-steps", aria_label="Progress"),
        _rewritten(rewritten, progress.question),
    )


def _ended_steps(progress: Progress) -> list[Html]:
    return [
        element(
            "li",
            _STEP_LABELS[step.name][1],
            element("span", _duration(step.milliseconds), class_="pv-time"),
            title=step.detail or None,
        )
        for step in progress.steps
    ]


def _running(step: StepName) -> Html:
    return element("li", f"{_STEP_LABELS[step][0]}…", class_="pv-running")


def _rewritten(query: str, question: str) -> Html:
    if not query or query == question:
        return together()
    return element("p", "Searched for: ", element("q", query), class_="pv-query")


def _draft(progress: Progress) -> list[Html]:
    if progress.stopped:
        note = "Stopped. This draft was not checked." if progress.draft else "Stopped before anything was written."
        text = [element("p", progress.draft)] if progress.draft else []
        return [element("div", element("p", note, class_="pv-draft-note"), *text, class_="pv-draft pv-stopped")]
    if not progress.draft:
        return []
    note = element("p", "Draft, being checked", class_="pv-draft-note")
    return [element("div", note, element("p", progress.draft), class_="pv-draft")]


def _answer(answer: Answer, number: int) -> Html:
    by_number = {citation.number: citation for citation in answer.citations}
    write = _quotation if answer.wording == "verbatim" else _sentence
    sentences: list[str] = []
    for sentence in answer.sentences:
        cited = [by_number[key] for key in sentence.citations if key in by_number]
        sentences += [write(sentence, cited, number), " "]
    lines = " pv-lines" if answer.wording == "record" else ""
    body = element("div" if answer.wording == "verbatim" else "p", *sentences, class_=f"pv-sentences{lines}")
    rested_on = {key for sentence in answer.sentences for key in sentence.citations}
    cited = [citation for citation in answer.citations if citation.number in rested_on]
    sources = together() if answer.wording == "verbatim" else _sources(cited, number)
    return element("div", body, sources, class_="pv-answer")


def _sentence(sentence: AnswerSentence, cited: list[Citation], number: int) -> Html:
    chips = [chip(citation, number) for citation in cited]
    if sentence.support == "supported":
        return element("span", sentence.text, *chips, class_="pv-supported")
    title, spoken = {
        "partly": ("Only part of this sentence was found in the sources", "partly supported"),
        "unsupported": ("No source was found for this sentence", "not supported"),
    }[sentence.support]
    text = element("span", sentence.text, class_="pv-text")
    mark = element("span", spoken, class_="pv-mark")
    return element("span", text, *chips, mark, class_=f"pv-{sentence.support}", title=title)


def _quotation(sentence: AnswerSentence, cited: list[Citation], number: int) -> Html:
    sources = [
        element(
            "figcaption",
            ", ".join(part for part in (f"Quoted from {name(one)}", place(one)) if part),
            chip(one, number),
        )
        for one in cited
    ]
    words = element("blockquote", sentence.text, class_=lines(cited[0]) if cited else None)
    return element("figure", words, *sources, class_=f"pv-quotation pv-{sentence.support}")


def _sources(citations: Iterable[Citation], number: int) -> Html:
    items = [_opener(citation, number, lead=str(citation.number)) for citation in citations]
    return element("ul", *items, class_="pv-sources", aria_label="Sources") if items else together()


def _opener(citation: Citation, number: int, *, lead: str = "", text: str = "") -> Html:
    """Return a list entry that opens a Citation in the evidence panel."""
    return element(
        "li",
        element(
            "button",
            element("span", lead, class_="pv-lead") if lead else "",
            element("span", name(citation), class_="pv-name"),
            element("span", place(citation), class_="pv-place"),
            element("span", text, class_="pv-excerpt") if text else "",
            type="button",
            data_open=f"{number}:{citation.number}",
        ),
    )


def _abstention(answer: Answer, number: int) -> Html:
    found = [_opener(one, number, text=_excerpt(one.quote)) for one in openable(answer)]
    return element(
        "div",
        element("h3", "Not in the documents"),
        element("p", answer.reason),
        element("p", "The nearest passages, which do not answer it:", class_="pv-nearest-note") if found else "",
        element("ul", *found, class_="pv-sources pv-nearest", aria_label="Nearest passages") if found else "",
        class_="pv-box pv-abstention",
    )


def _excerpt(text: str) -> str:
    flat = " ".join(text.split()).lstrip("# ")  # the mark of a Markdown heading is not read
    return flat if len(flat) <= _MOST_NEAREST_CHARACTERS else f"{flat[:_MOST_NEAREST_CHARACTERS].rstrip()}…"


def _footer(answer: Answer, progress: Progress, *, badge: Badge | None, trace_link: str) -> Html:
    """Return what produced the answer: its own release, and the rest where the badge is of that release."""
    parts = [element("span", f"Release {answer.release_id}", title="The release that answered")]
    if badge and badge.release_id == answer.release_id:
        parts += _badge(badge)
    if answer.timings_ms:
        total = answer.timings_ms.get("total", sum(answer.timings_ms.values()))
        parts.append(element("span", _duration(total), title=_timings(progress)))
    if trace_link:
        parts.append(element("a", "How this was answered", href=trace_link, target="_blank", rel="noopener"))
    return element("footer", *parts, class_="pv-badge", aria_label="What produced this answer")


def _badge(badge: Badge) -> list[Html]:
    model = f"{badge.model} {badge.quantization}" + (f" + {badge.adapter}" if badge.adapter else "")
    return [
        element("span", model, title="Model, quantization and adapter"),
        element("span", f"Index {badge.index_date.isoformat()}", title=f"{badge.points:,} passages"),
    ]


def _timings(progress: Progress) -> str:
    return ", ".join(f"{_STEP_LABELS[step.name][1].lower()} {_duration(step.milliseconds)}" for step in progress.steps)


def _duration(milliseconds: float) -> str:
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def _as_citation(passage: Passage) -> Citation:
    chunk = passage.chunk
    return Citation(
        number=passage.rank,
        document=chunk.document,
        version=chunk.version,
        title=chunk.title,
        page=chunk.page,
        clause=chunk.clause,
        path=chunk.path,
        char_start=chunk.start,
        char_end=chunk.end,
        quote=chunk.text,
        score=passage.score,
    )
