"""Questions made of a corpus by rule: of definitions, facts, duties, headings, table cells and product attributes.

One chunk gives Drafts: a question, the words of the chunk that answer it, and what it was made from. How questions are
worded stands in `example_questions.toml`, with a version. It knows chunks and refuses to know whether a search would
find them. Rules: an answer is a sentence, a cell, a line or a value (`example_values`) of the chunk, word for word; a
chunk that states two things of one kind is not asked for that kind; nothing is asked of contents pages, forms and
fragments.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from assistant.clause_facts import FactKind, find_facts
from finetune.example_values import value_questions
from finetune.examples import Kind
from governance.errors import BadInput
from ingest.index import Stored
from ingest.words import STOP_WORDS, content_words, split_sentences

MOST_ANSWER_CHARACTERS = 300
_FILE = Path(__file__).parent / "example_questions.toml"
_NAMED_SHARE = 0.5
_LEAST_SENTENCE_CHARACTERS = 30
_FACTS: tuple[FactKind, ...] = ("period", "amount", "percent", "date", "law")
_DEFINITION = re.compile(
    r"[“\"](?P<quoted>[A-Z][\w '/&-]{1,40})[”\"]\s+(?:means|shall mean|refers to|is defined as)\b"
    r"|^(?P<plain>[A-Z][\w'/&]+(?: [\w'/&]+){0,3})\s+(?:means(?! of)|is defined as)\b"
)
_DUTY = re.compile(
    r"^(?:\(?[\dA-Za-z.]{1,8}[.)]\s+)?(?P<subject>(?:The |Each |All |An? )?[A-Z][\w'/ -]{2,50}?)\s+"
    r"(?:(?P<not>(?:shall|must|may|will|should) not)|(?P<must>shall|must|is required to|are required to)"
    r"|(?P<may>may|is entitled to|are entitled to))\s+(?P<rest>[a-z].+)",
    re.DOTALL,
)
_NOT_A_SUBJECT = frozenset("this that these those it they he she you we who which there here nothing such".split())
_DEED_END = re.compile(r"[,;:(.]|\s(?:unless|except|provided|if|when|where|that|which|who|and|or)\s")
_ADVERB = re.compile(r"^(?:only|also|then|further|immediately|promptly|at all times|not)\s+")
_NUMBER_BEFORE = re.compile(
    r"^(?:(?:section|article|appendix|part|annex|exhibit|step)\s+)?"
    r"(?:\(\w{1,4}\)|#\d+|[ivxlc]+(?=[.):\s])|[A-Z]{0,2}\d+(?:[.\-]\d+)*|[A-Z](?=[.)]))[.):]*\s+",
    re.IGNORECASE,
)
_LEADERS = re.compile(r"\.{5,}|_{4,}|\[insert|\(insert", re.IGNORECASE)
_REDACTED = re.compile(r"\*\*\*|\[…|\[\*")
_GOVERNS = re.compile(r"\b(?:govern|constru|interpret)", re.IGNORECASE)
_SAYS_NOTHING = frozenset(
    "definitions references general miscellaneous introduction notes note other purpose scope background".split()
)
_NO_DEED = frozenset(  # "may become" is a chance, no permission; "shall have" and "shall mean" are no deeds
    "be have become represent cause result include apply occur mean contain consist appear strengthen relieve".split()
)
_NO_VALUES = frozenset({"n/a", "none", "none.", "--"})
_MOST_DEED_WORDS = 12
_LEAST_DEED_WORDS = 2


@dataclass(frozen=True)
class Draft:
    """A question that a chunk answers in its own words; `second` is another chunk that is needed for the whole answer.

    `target` stands word for word in the chunks; a part from each is on a line of its own.
    """

    kind: Kind
    question: str
    chunk: Stored
    target: str
    origin: str
    second: Stored | None = None


@dataclass(frozen=True)
class Templates:
    """How questions are worded, and the version that says so."""

    version: int
    values: Mapping[str, Any]

    def ask(self, path: str, draw: random.Random, **words: str) -> str:
        """Return a question by one of the wordings of a use case ("fact.period"), with a title or without."""
        found: Any = self.values
        for name in path.split("/"):
            found = found[name]
        wording = draw.choice(found["named" if draw.random() < _NAMED_SHARE else "policy"])
        question = str(wording.format(**words))
        return question[:1].upper() + question[1:] if draw.random() < 0.7 else question

    @property
    def out_of_scope(self) -> list[str]:
        """Questions that no collection is about."""
        return list(self.values["out_of_scope"]["questions"])


def load_templates(path: Path = _FILE) -> Templates:
    """Read the wordings. Raises BadInput where the file is no such file."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        return Templates(int(values["version"]), values)
    except (OSError, tomllib.TOMLDecodeError, KeyError, ValueError) as error:
        raise BadInput(
            f"{path} holds no wordings of questions ({error}); it needs a version and a table each."
        ) from error


def drafts_of(chunk: Stored, templates: Templates, draw: random.Random) -> Iterator[Draft]:
    """Yield what may be asked of a chunk."""
    maker = _Maker(chunk, templates, draw)
    if chunk.kind == "record":
        yield from maker.attributes()
    elif chunk.kind == "table":
        yield from maker.cells()
    elif not _LEADERS.search(chunk.text):
        yield from maker.sentences()


def heading_of_clause(chunk: Stored) -> str:
    """Return the nearest heading as words, its number left out; "" where there is none."""
    for heading in reversed(chunk.path):
        words = _NUMBER_BEFORE.sub("", heading).strip(" .:-")
        says = (
            any(map(str.isalpha, words))
            and bool(content_words(words))
            and words.casefold() not in _SAYS_NOTHING | {chunk.title.casefold()}
        )
        if len(words) > 3 and says:
            return words
    return ""


def title_of(chunk: Stored) -> str:
    """Return a document's title as one says it: capitals of a whole title lowered, the first line only."""
    title = " ".join(chunk.title.split())
    return title.title() if title.isupper() else title


@dataclass(frozen=True)
class _Maker:
    """Makes the drafts of one chunk."""

    chunk: Stored
    templates: Templates
    draw: random.Random

    def sentences(self) -> Iterator[Draft]:
        said = [sentence for sentence in self._said() if is_whole(sentence)]
        facts = Counter(fact.kind for sentence in said for fact in find_facts(sentence))
        for sentence in said:
            yield from self._definition(sentence)
            yield from self._duty(sentence)
            yield from self._facts(sentence, facts)
        heading = heading_of_clause(self.chunk)
        if len(said) == 1 and heading and len(said[0]) > 0.6 * len(self._body()):
            yield self._draft("clause", "heading", said[0], heading=self._say(heading))

    def cells(self) -> Iterator[Draft]:
        """Yield a draft for each cell that a row's name and a column's name point at without doubt."""
        rows = [[cell.strip() for cell in line.split("|")] for line in self.chunk.text.split("\n")]
        header, body = rows[0], [row for row in rows[1:] if len(row) == len(rows[0])]
        names = Counter(row[0].casefold() for row in body)
        for row in body:
            for column, cell in list(zip(header, row, strict=True))[1:]:
                if names[row[0].casefold()] == 1 and _is_label(row[0]) and _is_label(column) and _is_cell(cell):
                    yield self._draft("table", "table", cell, row=row[0], column=self._say(column))

    def attributes(self) -> Iterator[Draft]:
        lines = [line for line in self.chunk.text.split("\n") if 0 < line.find(": ") < 40]
        names = Counter(line.split(": ")[0].casefold() for line in lines)
        product = " ".join(" ".join(self.chunk.path).split()[: self.draw.choice([4, 6, 8])])
        for line in lines:
            name = line.split(": ")[0]
            if names[name.casefold()] == 1 and len(name) > 3 and len(line) <= MOST_ANSWER_CHARACTERS:
                yield self._draft("attribute", "attribute", line, attribute=self._say(name), product=product)

    def _definition(self, sentence: str) -> Iterator[Draft]:
        found = _DEFINITION.search(sentence)
        term = (found["quoted"] or found["plain"]) if found else ""
        if term and term.split()[0].casefold() not in STOP_WORDS:
            yield self._draft("definition", "definition", sentence, term=term)

    def _duty(self, sentence: str) -> Iterator[Draft]:
        found = _DUTY.match(sentence)
        if found is None or found["subject"].split()[-1].casefold() in STOP_WORDS | _NOT_A_SUBJECT:
            return
        deed = _deed(found["rest"])
        if found["subject"].split()[0].casefold() in _NOT_A_SUBJECT or not deed:
            return
        duty = "must not" if found["not"] else "must" if found["must"] else "may"
        subject = re.sub(r"^(?:The|Each|All|An?)(?= )|^[A-Z](?=\w* [a-z])", _lowered, found["subject"])
        yield self._draft("clause", f"duty/{duty}", sentence, subject=subject, deed=deed)
        if found["must"]:
            yield from self._values(sentence, found["subject"], found["rest"])

    def _values(self, sentence: str, subject: str, rest: str) -> Iterator[Draft]:
        """Yield what is asked for a few words of a duty; each use once in a chunk's sentence."""
        for asked in value_questions(sentence, subject, rest):
            yield self._draft("clause", f"value/{asked.use}", asked.target, **asked.words)

    def _facts(self, sentence: str, counts: Mapping[FactKind, int]) -> Iterator[Draft]:
        heading = heading_of_clause(self.chunk)
        for kind in _FACTS:
            governs = kind != "law" or _GOVERNS.search(sentence)
            stated = [fact.text for fact in find_facts(sentence) if fact.kind == kind]
            if heading and governs and counts[kind] == 1 and stated:
                is_value = kind != "law" and sentence.count(stated[0]) == 1  # a law is said with what it governs
                target = stated[0] if is_value else sentence
                yield self._draft("clause", f"fact/{kind}", target, heading=self._say(heading))

    def _draft(self, kind: Kind, use: str, target: str, **words: str) -> Draft:
        asked = self.templates.ask(use, self.draw, title=title_of(self.chunk), **words)
        return Draft(kind, " ".join(asked.split()), self.chunk, target, f"made of a {use.replace('/', ': ')}")

    def _say(self, name: str) -> str:
        """Return a heading or a column as one says it inside a question."""
        return name.lower() if name.isupper() or self.draw.random() < 0.5 else name

    def _body(self) -> str:
        text, heading = self.chunk.text, self.chunk.path[-1] if self.chunk.path else ""
        return text[len(heading) :].lstrip(" .:\n") if heading and text.startswith(heading) else text

    def _said(self) -> list[str]:
        body = self._body()
        return [body[start:end] for start, end in split_sentences(body)]


def _deed(rest: str) -> str:
    """Return what is to be done, as far as a question repeats it; "" where too little or too much is left."""
    text = _ADVERB.sub("", " ".join(rest.split()))
    ended = _DEED_END.search(text)
    if ended and ended.group() == "(":
        return ""  # cut inside a number or a name
    words = text[: ended.start()].split() if ended else text.split()
    words = words[:_MOST_DEED_WORDS]
    while words and words[-1].casefold() in STOP_WORDS:
        words.pop()
    deed = " ".join(words)
    return deed if len(words) >= _LEAST_DEED_WORDS and words[0] not in _NO_DEED and not set(deed) & set('“”"') else ""


def _lowered(match: re.Match[str]) -> str:
    return match.group().lower()


def is_whole(sentence: str) -> bool:
    """Tell whether a text is a sentence that can stand as an answer."""
    if _REDACTED.search(sentence):
        return False
    usual = _LEAST_SENTENCE_CHARACTERS <= len(sentence) <= MOST_ANSWER_CHARACTERS and "\n\n" not in sentence
    return usual and (sentence[0].isupper() or sentence[0] in '“"') and sentence[-1] in '.”"'


def _is_label(text: str) -> bool:
    return 3 <= len(text) <= 80 and text[-1] not in ".:" and sum(sign.isalpha() for sign in text) >= 3


def _is_cell(text: str) -> bool:
    return 1 < len(text) <= MOST_ANSWER_CHARACTERS and any(map(str.isalnum, text)) and text.casefold() not in _NO_VALUES


def joined(first: Draft, second: Draft) -> Draft:
    """Return one question for two, answered from two chunks of one document."""
    asked = f"{first.question.rstrip('?. ')}, and {second.question[:1].lower()}{second.question[1:]}"
    return Draft(
        "multi_chunk", asked, first.chunk, f"{first.target}\n{second.target}", "two questions in one", second.chunk
    )


def pairs(drafts: Sequence[Draft], draw: random.Random, *, most: int) -> Iterator[Draft]:
    """Yield at most so many joined questions, each of two neighbouring chunks of one document."""
    usable = [one for one in drafts if one.kind in {"clause", "definition"}]
    usable.sort(key=lambda one: (one.chunk.document, one.chunk.start))
    found = [
        (first, second)
        for first, second in pairwise(usable)
        if first.chunk.document == second.chunk.document and first.chunk.id != second.chunk.id
    ]
    draw.shuffle(found)
    yield from (joined(first, second) for first, second in found[:most])
