"""Topics: what an analyst looks for in clauses, with the wording that signals it.

A Topic is a name, a description, and phrases in a small language (`govern* ... by ... law*`): `*` ends a word in any
way, `...` stands for up to twelve words of one sentence, `(a|b)` for either. The library is `clause_topics.toml`
beside this module; a file of the same form adds topics or replaces those of the same name. This module knows nothing
of documents: it says which signals a text carries, not whether they are enough.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from governance.errors import BadInput, NotFound
from ingest.words import stems

_SPACE = r"(?:[^\w.;]|\.(?=\S))+"
_GAP = rf"{_SPACE}(?:\w[\w'’-]*{_SPACE}){{0,12}}?"
_SIGNS = re.compile(r"[^\w\s()|*'&/.-]|(?<!\.)\.(?!\.)")
_FIELDS = {"name", "description", "phrases", "hints", "headings", "against", "threshold"}


@dataclass(frozen=True)
class Topic:
    """What is looked for. A topic without phrases is free text: only its words and its closeness count.

    `threshold` is the least score (0 to 1) of a match, 0 where none was fitted for this topic.
    """

    name: str
    description: str
    phrases: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    headings: tuple[str, ...] = ()
    against: tuple[str, ...] = ()
    threshold: float = 0.0

    @property
    def is_free_text(self) -> bool:
        """Tell whether nothing but a description is known."""
        return not (self.phrases or self.hints or self.headings)


def load_topics(added: str = "") -> dict[str, Topic]:
    """Return the library by name, with the topics of a TOML text added or put in their place. Raises BadInput."""
    library = files(__package__).joinpath("clause_topics.toml").read_text(encoding="utf-8")
    topics = _read(library, "The topic library")
    return topics | _read(added, "The topic file") if added else topics


def find_topic(name: str, topics: Mapping[str, Topic]) -> Topic:
    """Return a topic by its name, or by a heading that it alone has, case and punctuation aside.

    Raises NotFound naming near ones.
    """
    wanted = _plain(name)
    named = [topic for topic in topics.values() if _plain(topic.name) == wanted]
    headed = [topic for topic in topics.values() if wanted in map(_plain, topic.headings)]
    if named or len(headed) == 1:
        return (named or headed)[0]
    near = [topic.name for topic in topics.values() if set(stems(name)) & set(stems(topic.name))]
    names = ", ".join(near) or "; `provenant clauses topics` lists them"
    raise NotFound(f"There is no topic {name[:60]!r}; {f'near it are {names}' if near else names[2:]}.")


def topic_of_text(text: str, topics: Mapping[str, Topic]) -> Topic:
    """Return what a free text looks for: itself, with the signals of the topic whose name it holds, if any."""
    said = set(stems(text))
    named = [topic for topic in topics.values() if _is_named(topic, said)]
    if not named:
        return Topic(text.strip(), text.strip())
    best = max(named, key=lambda topic: (len(set(stems(topic.name)) & said), -len(topic.name)))
    return Topic(text.strip(), text.strip(), best.phrases, best.hints, best.headings, best.against, best.threshold)


def _is_named(topic: Topic, said: set[str]) -> bool:
    """Tell whether a text holds the whole name of a topic or one of its headings, little words aside."""
    names = [set(stems(re.sub(r"^Anti-|^Non-", "", name))) for name in (topic.name, *topic.headings)]
    return any(name and name <= said for name in names)


def count_phrases(phrases: Sequence[str], text: str) -> int:
    """Return how many of the phrases a text holds. `text` is as `readable` makes it."""
    return sum(1 for phrase in phrases if compile_phrase(phrase).search(text))


def first_phrase(phrases: Iterable[str], text: str) -> tuple[int, int] | None:
    """Return the code point span of the first phrase found in a text as it is, None where there is none."""
    places = [match.span() for phrase in phrases if (match := compile_phrase(phrase).search(text))]
    return min(places, default=None)


def readable(text: str) -> str:
    """Return a text on one line, with per cent signs as words, as phrases are compared with it."""
    return " ".join(text.replace("%", " percent ").split())


@lru_cache(maxsize=4096)
def compile_phrase(phrase: str) -> re.Pattern[str]:
    """Return a phrase as a pattern. Raises BadInput for one that is not well formed."""
    plain = _SIGNS.sub(lambda sign: "?" if sign.group() == "?" else " ", phrase.replace("%", "percent").strip())
    parts = [_part(part) for part in re.split(r"\s+\.\.\.\s+", plain)]
    try:
        return re.compile(rf"(?<![\w-]){_GAP.join(parts)}(?!\w)", re.IGNORECASE)
    except re.error as error:
        raise BadInput(f"The phrase {phrase!r} is not well formed ({error}); check its brackets.") from error


def _part(part: str) -> str:
    """Return the pattern of neighbouring words."""
    return re.sub(r"\s+", lambda _: _SPACE, part.strip().replace("*", r"\w*").replace("(", "(?:"))


def _read(text: str, name: str) -> dict[str, Topic]:
    try:
        values = tomllib.loads(text).get("topic", [])
        return {topic.name: topic for topic in map(_topic, values)}
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise BadInput(
            f"{name} cannot be used ({error}); each [[topic]] needs a name and a description, and may have "
            "phrases, hints, headings, against (lists of text) and a threshold."
        ) from error


def _topic(value: Mapping[str, Any]) -> Topic:
    unknown = sorted(set(value) - _FIELDS)
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r} in topic {value.get('name', '?')!r}")
    lists = {name: tuple(value.get(name, ())) for name in ("phrases", "hints", "headings", "against")}
    for phrase in (phrase for phrases in lists.values() for phrase in phrases):
        compile_phrase(phrase)
    return Topic(value["name"], value["description"], **lists, threshold=float(value.get("threshold", 0.0)))


def _plain(name: str) -> str:
    return "".join(sign for sign in name.casefold() if sign.isalnum())
