"""The evidence panel: where a Citation stands, as a picture of its page or as the text around it.

Pure functions from values to HTML but for `look_up`, which asks the Desk. Knows no Gradio. Its rules: the words shown
as a quote are the document's own; a picture travels inside the page and has no address that another session could ask
for; what cannot be shown is said in a sentence.
"""

from __future__ import annotations

from dataclasses import dataclass

from assistant.answer import Citation
from governance.errors import ProvenantError
from ui.chat import problem
from ui.cited import lines, name
from ui.desk import Desk
from ui.markup import Html, element, picture_address, together


@dataclass(frozen=True)
class Evidence:
    """A Citation with the picture of its page, or with the text around it, or with the reason that there is neither."""

    citation: Citation
    picture: bytes | None = None
    surroundings: tuple[str, str, str] | None = None
    problem: str = ""


def look_up(desk: Desk, citation: Citation) -> Evidence:
    """Return what the Desk can show of a Citation. A failure becomes its sentence, since the quote still stands."""
    try:
        picture = desk.picture(citation)
        if picture is not None:
            return Evidence(citation, picture=picture)
        return Evidence(citation, surroundings=desk.surroundings(citation))
    except ProvenantError as error:
        return Evidence(citation, problem=str(error))


def nothing_open() -> Html:
    """Return the panel before any Citation was opened."""
    return _panel(
        element(
            "div",
            element("p", "The source of an answer appears here. Choose a number in an answer to see its page."),
            class_="pv-nothing",
        )
    )


def not_kept(asked: str) -> Html:
    """Return the panel for a Citation ("turn:number") that this session does not hold (any more)."""
    sentence = "This source belongs to an answer that is no longer kept; ask the question again to see it."
    return _panel(_close(), problem(sentence), shown=asked)


def panel(evidence: Evidence, *, turn: int, among: tuple[int, ...]) -> Html:
    """Return the panel for one Citation; `among` holds the numbers of all Citations of that turn, in order."""
    citation = evidence.citation
    return _panel(
        _head(citation, turn=turn, among=among),
        _where(citation),
        _quote(citation),
        _shown(evidence),
        shown=f"{turn}:{citation.number}",
    )


def _panel(*inside: str, shown: str = "") -> Html:
    attributes = {"class_": "pv-panel", "aria_label": "Evidence", "aria_live": "polite", "data_shown": shown}
    return element("section", *inside, **attributes, tabindex=-1)


def _close() -> Html:
    return element("button", "Close", type="button", class_="pv-close pv-copy", data_close="evidence")


def _head(citation: Citation, *, turn: int, among: tuple[int, ...]) -> Html:
    at = among.index(citation.number)
    before = among[at - 1] if at > 0 else None
    after = among[at + 1] if at + 1 < len(among) else None
    return element(
        "div",
        element("span", f"Source {at + 1} of {len(among)}", class_="pv-count"),
        _step_button("‹", "Previous source", turn=turn, number=before),
        _step_button("›", "Next source", turn=turn, number=after),
        _close(),
        class_="pv-panel-head",
    )


def _step_button(sign: str, label: str, *, turn: int, number: int | None) -> Html:
    return element(
        "button",
        sign,
        type="button",
        aria_label=label,
        title=label,
        data_open=None if number is None else f"{turn}:{number}",
        disabled="" if number is None else None,
    )


def _where(citation: Citation) -> Html:
    facts = [f"Page {citation.page}"] if citation.page is not None else []
    facts += [f"Clause {citation.clause}"] if citation.clause else []
    file = citation.document if citation.title and citation.title != citation.document else ""
    headings = [element("li", heading) for heading in citation.path]
    return together(
        element("h2", name(citation)),
        element("p", *_separated([*facts, file]), class_="pv-facts"),
        element("ol", *headings, class_="pv-path", aria_label="Headings") if headings else "",
    )


def _separated(facts: list[str]) -> list[Html]:
    return [element("span", fact) for fact in facts if fact]


def _quote(citation: Citation) -> Html:
    class_ = " ".join(filter(None, ("pv-words", lines(citation))))
    return element(
        "div",
        element("blockquote", citation.quote, class_=class_, tabindex=0, aria_label="The cited words"),
        element("button", "Copy quote", type="button", class_="pv-copy", data_copy=citation.quote),
        class_="pv-quote",
    )


def _shown(evidence: Evidence) -> Html:
    if evidence.problem:
        return problem(evidence.problem)
    if evidence.picture is not None:
        return _picture(evidence.citation, evidence.picture)
    before, words, after = evidence.surroundings or ("", evidence.citation.quote, "")
    text = element("p", before, element("mark", words), after)
    return element("div", text, class_="pv-surroundings", tabindex=0, aria_label="The text around the quote")


def _picture(citation: Citation, png: bytes) -> Html:
    described = f"Page {citation.page} of {name(citation)}, the cited words marked"
    return element(
        "button",
        element("img", src=picture_address(png), alt=described),
        element("span", "Enlarge", class_="pv-enlarge"),
        type="button",
        class_="pv-picture",
        data_zoom="page",
        title="Show the page large",
    )
