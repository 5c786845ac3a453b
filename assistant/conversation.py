"""Conversation: a follow-up made fit to search with alone.

"And for contractors?" says nothing without what was asked before it. A follow-up that leans on earlier turns is
completed by rule, never by the model, so that the rewriting can be shown ("Read as: ..."), explained and repeated. It
takes only words that the asker typed or that an answer shown to the asker cited, and it is searched under the asker's
own conditions, so that it never reaches beyond what the asker may see. A question that stands alone, or that speaks of
something else than the turns before it, stays as it is: one that is left alone in doubt can be asked again, one that
was given another meaning misleads.

This module knows wording and the turns before; it refuses to know the index, the labels and the model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assistant.questions import Query, names_in
from ingest.chunks import readable_name
from ingest.words import STOP_WORDS, content_words, stem, stems, words

_MOST_WORDS = 10  # added to one question: more would drown it (all earlier questions joined lose 6 % of recall@5)
_STANDALONE_WORDS = 7
_FEW_WORDS = 3
_ELLIPSIS_WORDS = 2
_FOREIGN_WORDS = 4
_ANTECEDENT_WORDS = 4
_TITLE_WORDS = 8
_LOOK_BACK = 3
_MOST_CHARACTERS = 160  # what is longer stands alone, and is not searched for pointers and thanks

_OPENERS = re.compile(
    r"(and|but|or|so|also|then|what about|how about|what if|why|why not|who else|what else|anything else|since when|"
    r"until when|for how long|how so|same for|is that|are they|is it|does it|do they|can it|can they)\b",
    re.IGNORECASE,
)
_JOINS = re.compile(r"(and|but|or|also|what about|how about|same for|what if)\b", re.IGNORECASE)
_CHAT = re.compile(
    r"^\W*((ok|okay|oh|yes|no|wow|i see|got it|sorry|hi|hello|hey|great|interesting|never mind|(that|this|it)('s| is) "
    r"(fine|ok|okay|good|great|all|interesting)|thank(s| you)( very much| a lot| so much| for [\w\s]{1,30})?|"
    r"the information is (very )?(helpful|useful)|can you (please )?help me( here)?)\W*)+$",
    re.IGNORECASE,
)
_POINTERS = re.compile(
    r"\b(?P<person>its?|they|them|theirs?|he|she|him|his|hers?|itself|themselves)\b"
    r"|\b(?P<pointing>this|that|these|those|such)\b"
    r"|\b(?P<place>there)\b(?=\W*$|\W+(and|or|but)\b|\s*[?.!,;])",
    re.IGNORECASE,
)
_CLAUSE_END = re.compile(r"^(.*)[.?!,;](\s|$)", re.DOTALL)
_CLIPPED = re.compile(r"['’](t|re|ve|ll|d|m)\b", re.IGNORECASE)
_PERSONS = re.compile(r"\b(he|she|him|they|them)\b", re.IGNORECASE)
_EXPLETIVE = re.compile(
    r"\b(it\s+(is|was|takes|to)?\s*|(is|was|if|whether)\s+it\s+)(true|possible|necessary|required|safe|okay|ok|normal|"
    r"better|legal|allowed|likely|important|mandatory)\b|\bit takes\b|\bdoes it take\b|\bhow (is|does) it that\b",
    re.IGNORECASE,
)
_POINTS_WITH_THAT = re.compile(
    r"(^|[.?!,;]\s*|\b(is|was|are|were|does|did|do|can|will|about|for|of|after|before|by|from|like|to|in|on|with|than|"
    r"and|at|under|during|until|since|if|when|why|how|at)\s+)that$",
    re.IGNORECASE,
)
_CIRCUMSTANCE = re.compile(
    r"(and|or|but|also|what about|how about|what|same)\s+(for|with|without|in|at|from|to|on|if|when|as|under|during)\b",
    re.IGNORECASE,
)
_OTHER_ONES = re.compile(
    r"\bthe (?P<which>first|second|third|fourth|last|latter|former|other|others|same|next|previous)"
    r"(\s+(one|two|ones|document|agreement|contract|policy|product|item|option))?\b(?=\W*$|\s+(one|ones|document|"
    r"agreement|contract|policy|product|item|option)\b|\s+(is|are|was|does|do|has|have|cost|costs)\b)",
    re.IGNORECASE,
)
_PLACES: Mapping[str, int] = {"first": 0, "former": 0, "second": 1, "latter": 1, "third": 2, "fourth": 3, "last": -1}
_DEFINES = re.compile(
    r"^\W*(what|who)\s+(is|are|was|were)\s+(an?\s+)?(?!the\b|its?\b|his\b|her\b|their\b|my\b|our\b)\w", re.I
)
_DEFINITE = re.compile(r"\bthe\s+\w+", re.IGNORECASE)
_WORD = re.compile(r"[\w][\w./&-]*[\w]|\w")
_FRAME_WORDS = frozenset(
    "able accept actually afterwards anything ask asked asking available back become believe besides bit call "
    "called come consider correct could curious currently day difference different do easy else even ever "
    "everything exactly example explain find fine first follow give given go going good got great guess happen "
    "happened happens hear heard hello help hi hope idea include included including information interested "
    "interesting kind kinds know known last learn let like long look looking lot love made make makes many matter "
    "may maybe mean means meant might much must name need needed needs new next nice note offer offers often ok "
    "okay owe people per please possible provide provided put question questions quickly quite really reason "
    "right said saw see set short show side sorry specific start still sure take taken takes talk talking tell "
    "thank thanks thing things think thought time times today told try trying two type types understand us use "
    "used useful uses using usually want way ways well whether without wondering word work works would wow year "
    "years yes".split()
)


@dataclass(frozen=True)
class CitedPlace:
    """What an answer shown to the asker cited: a document, its title, and the headings over the cited clause."""

    document: str
    title: str = ""
    path: tuple[str, ...] = ()
    is_record: bool = False

    @property
    def name(self) -> str:
        """Return the words that name it: a record's title, else the document's file name as capitalised words."""
        return name_of(self.document, self.path, is_record=self.is_record)


@dataclass(frozen=True)
class EarlierTurn:
    """An earlier turn of the same asker: what was typed, what was searched, and what the answer cited."""

    question: str
    query: str
    cited: tuple[CitedPlace, ...] = ()


@dataclass(frozen=True)
class Addition:
    """Words taken into a question, as they were written, and where they come from."""

    words: str
    source: str


@dataclass(frozen=True)
class Rewrite:
    """A question made fit to be searched alone: the Query, what was added to the question, and why."""

    query: Query
    added: tuple[Addition, ...] = ()
    reason: str = ""

    @property
    def shown(self) -> str:
        """Return the sentence for the asker; "" where nothing was rewritten."""
        if not self.query.rewritten:
            return ""
        sources = dict.fromkeys(addition.source for addition in self.added)
        return f"Read as: {self.query.text} ({self.reason}; from {' and '.join(sources)})"


def rewrite(question: str, earlier: Sequence[EarlierTurn]) -> Rewrite:
    """Return the standalone form of a question, given the earlier turns of the conversation, oldest first."""
    alone = Rewrite(Query(question, rewritten=False))
    turns = [turn for turn in earlier if not is_chat(turn.question)]
    if not turns or is_chat(question):
        return alone
    reason = why_it_leans(question, turns)
    if not reason:
        return alone
    added = _within(_additions(question, turns), question)
    if not added:
        return alone
    inside = ", ".join(addition.words for addition in added)
    return Rewrite(Query(f"{question.rstrip(' ?.!')} ({inside})?", rewritten=True), added, reason)


def condense(question: str, earlier: Sequence[str]) -> Query:
    """Return the standalone Query of a question, given the earlier Queries alone, oldest first."""
    return rewrite(question, [EarlierTurn(text, text) for text in earlier]).query


def earlier_turn(question: str, body: Mapping[str, Any]) -> EarlierTurn:
    """Read an earlier turn back from the question and body of its DecisionTrace."""
    cited = tuple(
        CitedPlace(
            str(one["document"]),
            str(one["title"]),
            tuple(one["path"]),
            is_record=one["page"] is None and str(one["document"]).endswith((".csv", ".tsv", ".json", ".jsonl")),
        )
        for one in body["citations"]
    )
    return EarlierTurn(question, str(body["query"]), cited)


def name_of(document: str, path: Sequence[str], *, is_record: bool) -> str:
    """Return what a document or record is called, in capitalised words, as retrieval reads names; at most eight."""
    named = path[0] if is_record and path else readable_name(document)
    return " ".join(word[:1].upper() + word[1:] for word in named.split()[:_TITLE_WORDS])


def is_chat(text: str) -> bool:
    """Tell whether a message only greets, thanks or nods."""
    return len(text) <= _MOST_CHARACTERS and _CHAT.match(text) is not None


def points_back(question: str) -> str:
    """Return the first word of a question that stands for something not said in it; "" where there is none."""
    if len(question) > _MOST_CHARACTERS:
        return ""
    expletives = [match.span() for match in _EXPLETIVE.finditer(question)]
    for match in _POINTERS.finditer(question):
        before = question[: match.start()]
        if any(start <= match.start() < end for start, end in expletives):
            continue
        if (
            match["pointing"]
            and match["pointing"].casefold() == "that"
            and not _points_with_that(question, match.end())
        ):
            continue
        if len(content_words(before)) < _ANTECEDENT_WORDS and not _named_before(before):
            return match.group()
    return ""


def own_words(text: str) -> list[str]:
    """Return the content words of a text without those that only frame a question."""
    return [word for word in content_words(text) if word not in _FRAME_WORDS]


def why_it_leans(question: str, turns: Sequence[EarlierTurn]) -> str:
    """Return why a question cannot be read without the turns before it, in a few words; "" where it can."""
    own = own_words(question)
    if len(own) >= _STANDALONE_WORDS or len(question) > _MOST_CHARACTERS:
        return ""
    known = {word for turn in turns[-_LOOK_BACK:] for word in _turn_stems(turn)}
    shares = any(stem(word) in known for word in own)
    opener = _OPENERS.match(question.lstrip())
    joins = _JOINS.match(question.lstrip())
    foreign_from = _FOREIGN_WORDS + 1 if _PERSONS.search(question) else _FOREIGN_WORDS
    if not joins and not shares and len(own) >= foreign_from:
        return ""  # another topic
    if other := _OTHER_ONES.search(question):
        return f"“{other.group()}” stands for something said before"
    if pointer := points_back(question):
        return f"“{pointer}” stands for something said before"
    if opener and (joins or len(own) <= _FEW_WORDS):
        return f"it begins with “{opener.group().lower()}”"
    return _why_too_short(question, own, known)


def _why_too_short(question: str, own: Sequence[str], known: set[str]) -> str:
    if _brings_a_name(question, known) or _DEFINES.match(question):
        return ""
    if len(own) < _ELLIPSIS_WORDS:
        return "it is too short to be read alone"
    if len(own) == _ELLIPSIS_WORDS and _DEFINITE.search(question):
        return "it does not say what it is about"
    return ""


def _points_with_that(question: str, end: int) -> bool:
    return _POINTS_WITH_THAT.search(question[:end]) is not None


def _named_before(before: str) -> bool:
    """Tell whether something was named in an earlier sentence or clause of the same question."""
    clause = _CLAUSE_END.search(before)
    return clause is not None and bool(names_in(f"so {clause.group(1)}"))


def _brings_a_name(question: str, known: set[str]) -> bool:
    """Tell whether a question names something that the turns before it did not speak of."""
    return any(not set(stems(name)) & known for name in names_in(question) if stems(name))


def _turn_stems(turn: EarlierTurn) -> Iterator[str]:
    for text in (turn.question, turn.query, *(f"{cited.name} {cited.title}" for cited in turn.cited)):
        yield from stems(text)


def _additions(question: str, turns: Sequence[EarlierTurn]) -> Iterator[Addition]:
    """Yield what a leaning question may stand for, the nearest first."""
    if place := _place_meant(question, turns[-1]):
        yield Addition(place.name, "the last answer's citations")
        return
    found = False
    for back, turn in enumerate(reversed(turns[-_LOOK_BACK:])):
        if cited := _only_document(turn):
            yield Addition(cited.name, "the answer's citation")
        for phrase in _topic(question, turn):
            found = True
            yield Addition(phrase, "the last question" if back == 0 else "an earlier question")
        if found:
            return


def _topic(question: str, turn: EarlierTurn) -> list[str]:
    """Return the phrases of an earlier turn that a question stands on.

    What was asked of the named things is left behind by a question that asks for something itself ("its price"), and
    taken along by one that only changes a circumstance ("and for contractors").
    """
    carrying = phrases(turn.query)
    names = {word for name in names_in(turn.query) for word in stems(name)}
    named = [phrase for phrase in carrying if names.intersection(stems(phrase))]
    asks_itself = own_words(question) and not _CIRCUMSTANCE.match(question.lstrip())
    return named if named and asks_itself else carrying


def _place_meant(question: str, turn: EarlierTurn) -> CitedPlace | None:
    """Return the cited place that "the second one" means, or None where the last answer did not cite that many."""
    found = _OTHER_ONES.search(question)
    places = list({place.name: place for place in turn.cited}.values())
    if found is None or len(places) < 2:
        return None
    number = _PLACES.get(found["which"].casefold())
    return places[number] if number is not None and number < len(places) else None


def _only_document(turn: EarlierTurn) -> CitedPlace | None:
    """Return the place that an answer rests on, or None where it rests on several."""
    return turn.cited[0] if len({cited.name for cited in turn.cited}) == 1 else None


def phrases(text: str) -> list[str]:
    """Return the runs of words of a text that carry its topic, as written, in order."""
    found: list[list[str]] = [[]]
    end = 0
    for match in _WORD.finditer(text):
        written = match.group()
        folded = words(written)
        joined = text[end : match.start()].strip(" ") in {"", "&"}
        end = match.end()
        if not joined:
            found.append([])
        clipped = text[max(match.start() - 1, 0) : match.start()] in {"'", "’"} and len(written) < 4
        if clipped or _CLIPPED.match(text, end) or not _carries(written, folded):
            found.append([])
        else:
            found[-1].append(written)
    return [" ".join(run) for run in found if run]


def _carries(written: str, folded: Sequence[str]) -> bool:
    if len(written) > 1 and any(sign.isdigit() for sign in written):
        return True  # v2, HL-4000CN
    return any(
        word not in STOP_WORDS and (word not in _FRAME_WORDS or written.isupper()) and len(word) > 1 for word in folded
    )


def _within(additions: Iterable[Addition], question: str) -> tuple[Addition, ...]:
    """Return the additions that the question does not hold already, each once, up to the most words."""
    held = set(stems(question))
    kept: list[Addition] = []
    room = _MOST_WORDS
    for addition in additions:
        brought = addition.words.split()
        new = [word for word in brought if not stems(word) or not held.issuperset(stems(word))]
        if not set(stems(addition.words)) - held or 2 * len(new) < len(brought) or len(brought) > room:
            continue
        held.update(stems(addition.words))
        room -= len(brought)
        kept.append(addition)
    return tuple(kept)
