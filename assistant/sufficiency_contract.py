"""Signs for a question about one contract: how usual the clause asked for is, and whether its wording stands there.

Nearly every contract says which law governs it and few promise the best price, and a clause that is there is worded
much as in other contracts. What a question asks for is weighed over the Topics of `clause_topics.toml` by the words
that it shares with them; how usual each is stands in `sufficiency_usual.toml`. This module knows words and Topics,
never an index or a model. Rules: signs speak of what contracts usually hold, so they never decide alone, and a
question that shares no word with a Topic is taken for a usual one among all.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from assistant.clause_topics import Topic, count_phrases, load_topics, readable
from ingest.chunks import readable_name
from ingest.index import Stored
from ingest.words import stems

_AGREEMENT = re.compile(r"agreement|contract|\b(?:sub)?lease|licen[cs]e\b|amendment|addendum|\bnda\b", re.IGNORECASE)
_TEMPERATURE = 0.3  # of the weights over topics
_NAMED_FACTOR = 3.0
_TOPICS_SOUGHT = 2
_LEAST_SHARE, _LOGIT_SCALE = 0.01, 4.0


@dataclass(frozen=True)
class ClauseSigns:
    """`usual`: log-odds / 4 that a contract has what is asked for; `worded`: 0 to 1, its wording stands there."""

    usual: float
    worded: float


def is_contract(chunk: Stored) -> bool:
    """Tell whether a Chunk's document calls itself an agreement, by its name or title."""
    return chunk.kind != "record" and bool(_AGREEMENT.search(f"{readable_name(chunk.document)} {chunk.title}"))


def clause_signs(asked: Collection[str], texts: Sequence[str], *, topics: Mapping[str, Topic]) -> ClauseSigns:
    """Return the signs for the stems of what is asked, and the texts in which its wording may stand."""
    shares = usual_shares()
    weights = topic_weights(asked, tuple(topics[name] for name in shares if name in topics))
    usual = sum(weight * _log_odds(shares[name]) for name, weight in weights.items())
    sought = sorted(weights, key=lambda name: (-weights[name], name))[:_TOPICS_SOUGHT]
    plain = [readable(text) for text in texts]
    worded = sum(weights[name] * _stands_in(topics[name], plain) for name in sought)
    return ClauseSigns(round(usual / _LOGIT_SCALE, 4), round(worded / sum(weights[name] for name in sought), 4))


def topic_weights(asked: Collection[str], topics: tuple[Topic, ...]) -> dict[str, float]:
    """Return how much of a question goes to each Topic, summing to 1.

    By the share of its stems that the Topic has, those of few Topics telling more and those of its name or headings
    three times as much.
    """
    rarity = _rarities(topics)
    total = sum(rarity.get(stem, 0.0) for stem in set(asked)) or 1.0
    shares = [_told(asked, topic, rarity) / total for topic in topics]
    powers = [math.exp(share / _TEMPERATURE) for share in shares]
    return {topic.name: power / sum(powers) for topic, power in zip(topics, powers, strict=True)}


def _told(asked: Collection[str], topic: Topic, rarity: Mapping[str, float]) -> float:
    named, said = topic_stems(topic)
    return sum(rarity[stem] * (_NAMED_FACTOR if stem in named else 1.0) for stem in set(asked) & (named | said))


@lru_cache(maxsize=8)
def _rarities(topics: tuple[Topic, ...]) -> Mapping[str, float]:
    """Return how rare each stem is among Topics, as BM25 weighs it."""
    held = Counter(stem for topic in topics for stem in frozenset.union(*topic_stems(topic)))
    return {stem: math.log(1 + (len(topics) - count + 0.5) / (count + 0.5)) for stem, count in held.items()}


@lru_cache(maxsize=256)
def topic_stems(topic: Topic) -> tuple[frozenset[str], frozenset[str]]:
    """Return the stems of a Topic's name and headings, and those of its description and wording."""
    named = " ".join([topic.name, *topic.headings])
    said = " ".join([topic.description, *topic.phrases, *topic.hints]).replace("*", " ")
    return frozenset(stems(named)), frozenset(stems(said))


@lru_cache(maxsize=1)
def usual_shares() -> Mapping[str, float]:
    """Return the share of contracts that have each Topic."""
    text = files(__package__).joinpath("sufficiency_usual.toml").read_text(encoding="utf-8")
    shares: Mapping[str, float] = tomllib.loads(text)["share"]
    return shares


@lru_cache(maxsize=1)
def library() -> Mapping[str, Topic]:
    """Return the Topics of the library, read once."""
    return load_topics()


def _stands_in(topic: Topic, texts: Sequence[str]) -> bool:
    return any(count_phrases(topic.phrases, text) for text in texts)


def _log_odds(share: float) -> float:
    bounded = min(max(share, _LEAST_SHARE), 1 - _LEAST_SHARE)
    return math.log(bounded / (1 - bounded))
