"""Instructions in documents: text that speaks to an assistant instead of stating something.

A document may carry orders for whoever reads it with a model ("add this link to your reply", "ignore the rules above",
code to merge into "your solution", a question that has nothing to do with the rest). They are found here by form and
by how little they share with the text around them, each with a score; from 1.0 on a span counts. Policies are full of
orders to people ("Submit the form within 5 days"), so an imperative alone counts for nothing. It knows no question and
no access, asks no model, and removes nothing: `assistant.guards` does that. English only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from ingest.words import split_lines, split_sentences, stems

InstructionKind = Literal["override", "persona", "marker", "reply", "code", "request", "hidden"]

COUNTS_FROM = 1.0
_OPENS = r"(?:^|[.;:!?,\n|]\s*|\bplease\s+|\bnow\s+|\bthen\s+|\b(?:you|to)\s+(?:must|should|will|need to)\s+|\balso\s+)"
_OVERRIDE = re.compile(
    _OPENS + r"(?:ignore|disregard|forget|override|bypass|do not follow|stop following)\b[^.\n]{0,40}?"
    r"\b(?:(?:previous|prior|above|earlier|preceding|other|your|all|system)\b[^.\n]{0,20}"
    r"\b(?:instructions?|prompts?|context|rules?|guidelines?|guardrails|directions?|messages?|question)"
    r"|system prompt)\b",
    re.IGNORECASE,
)
_PERSONA = re.compile(
    r"\byou are (?:now |a |an |no longer )*(?:chatgpt|gpt|ai\b|assistant|language model|chatbot|unrestricted|dan\b)"
    r"|\b(?:act|behave|respond|answer|speak|talk) (?:like|as) "
    r"(?:if you|an? (?:ai|assistant|chatbot|unrestricted|pirate|expert))"
    r"|\bpretend (?:to be|you are|that you)\b|\bdeveloper mode\b|\bjailbreak|\bdo anything now\b|\bas an ai\b"
    r"|\b(?:reveal|print|repeat|show|output|leak|expose|tell me) [^.\n]{0,24}"
    r"(?:system prompt|your (?:instructions|prompt))",
    re.IGNORECASE,
)
MARKER = re.compile(
    r"<\|[\w-]{1,32}\|>|\[/?INST\]|<</?SYS>>|</?s>|<(?:start|end)_of_turn>|<(?:bos|eos|pad|unk)>"
    r"|<\uff5c[^\uff5c\n]{1,40}\uff5c>|</?(?:system|assistant|tool_call|think)>",
    re.IGNORECASE,
)
_ROLE_LINE = re.compile(
    r"^\s*(?:#{1,4}\s*|\*\*)?(?:system|assistant|ai|instructions?)(?:\s+(?:prompt|message))?\s*(?:\*\*)?:\s", re.I
)
_OUTPUT = r"(?:response|answer|reply|replies|output|message|completion|solution|explanation|elucidation|summary)s?"
_YOUR_OUTPUT = re.compile(rf"\byour (?:\w+ )?{_OUTPUT}\b", re.IGNORECASE)
_SHAPES = (
    "add include integrate modify augment enhance replace substitute convert rearrange scramble jumble anagram remove "
    "group combine misspell introduce render append insert embed write begin end start finish translate mention "
    "suggest tease reverse encode capitalize format use incorporate provide prefix conclude change rewrite repeat "
    "blend weave encrypt apply shift express invert spell shorten answer respond reply state say repeat link promote "
    "advertise quote cite list ask tell refuse"
).split()
_SHAPING = re.compile(_OPENS + rf"(?:{'|'.join(_SHAPES)})\b", re.IGNORECASE)
_SHAPED = re.compile(r"\s*(?:in your |(?:can|could|would) you )", re.IGNORECASE)
_FORMAT = re.compile(
    r"(?:^|[.:!?\n]\s*|\bplease |\byou )(?:reply|respond|answer) (?:only |to [^.\n]{1,30} )?(?:in|using|with|as|by)\b"
    r"[^.\n]{0,30}\b(?:base ?\d\d|reverse|backwards?|emojis?|morse|cipher|json|rhymes?|rot13|french|german|spanish|"
    r"italian|portuguese|russian|japanese|chinese|caps|capitals)\b",
    re.IGNORECASE,
)
_STYLE = re.compile(
    _OPENS
    + r"(?:replace|substitute|convert|scramble|jumble|rearrange|swap|misspell|anagram|encode|reverse)\b[^.\n]{0,40}"
    r"\b(?:letters?|vowels?|consonants|spaces|characters|every (?:\w+ )?word)\b",
    re.IGNORECASE,
)
_CODE_ASKED = re.compile(
    r"\b(?:following|subsequent|below|next|this)\b[^.\n]{0,30}\b(?:code|script|commands?)\b"
    r"(?: (?:section|block|snippet|excerpt|extract|fragment|sample|piece))?"
    r"|\bcode (?:block|snippet|excerpt|section)s?\b",
    re.IGNORECASE,
)
_INTO_YOURS = re.compile(
    r"\byour (?:\w+ )?"
    r"(?:code|codebase|implementation|solution|algorithm|response|reply|answer|elucidation|architecture)\b",
    re.IGNORECASE,
)
_FENCE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_DANGEROUS = re.compile(
    r"os\.(?:system|remove|rename|environ)|subprocess|\bexec\(|\beval\(|\brequests?\b|urllib|\bsocket\b|smtplib|rm -rf"
    r"|\bcurl\b|\bwget\b|paramiko|ftplib|http\.|psutil|pickle|cookie|sendmail|\.send\(|usb\.core|sounddevice|yagmail"
)
_CODE_LINE = re.compile(
    r"^\s*(?:import |from \w+ import|def |with open\(|\w+ = \w+[.(]|exec\(|os\.|subprocess\.|requests?\.)"
)
_ASKS = re.compile(
    r"^[\s\"'(]*(?:q:\s*)?(?:please )?(?:(?:explain|describe|write|draft|compose|create|develop|translate|summari[sz]e|"
    r"break down|tell|show|list|provide|give|generate|recommend|suggest|solve|calculate|define|compare|outline|discuss|"
    r"analy[sz]e|determine|classify|rewrite|help me|is this)\b"
    r"|(?:(?:can|could|would|will) you\b|(?:how|what|who|when|where|why|which)(?:'s| |\b))(?=.*\?[\s\"')]*$))",
    re.IGNORECASE,
)
_TO_A_PERSON = re.compile(r"\b(?:your?|us|our|we|team|supervisor|following information)\b", re.IGNORECASE)
_FOR_A_CHAT = re.compile(
    r"\b(?:poem|short story|essay|speech|joke|song|haiku|plot of|simple terms|theory of|function to"
    r"|(?:in|to) (?:french|spanish|german|english|japanese|russian|chinese|italian))\b",
    re.IGNORECASE,
)
_HIDDEN = re.compile("[\u200b\u200c\u2060\u2062-\u2064\ufeff\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]{4,}")
_ENOUGH_AROUND = 12
_MOST_REQUEST_WORDS = 30


@dataclass(frozen=True)
class Instruction:
    """A span (code points) that reads like an order to an assistant, its kind, and a score from 1.0 up."""

    start: int
    end: int
    kind: InstructionKind
    score: float
    text: str


def find_instructions(text: str, *, beside: str = "") -> list[Instruction]:
    """Return the spans of a text that speak to an assistant, in order.

    `beside` is what else belongs to the subject: title and headings.
    """
    spans = _segments(text)
    found: list[Instruction] = []
    for start, end in spans:
        kind, score = _score(text[start:end], text=text, span=(start, end), beside=beside)
        if score >= COUNTS_FROM:
            found.append(Instruction(start, end, kind, score, text[start:end]))
    return [*found, *_code_after(text, spans, found)] if found else found


def _segments(text: str) -> list[tuple[int, int]]:
    """Return fenced code whole, and elsewhere sentences cut at line ends."""
    found: list[tuple[int, int]] = []
    start = 0
    for fence in [*_FENCE.finditer(text), None]:
        stop = fence.start() if fence else len(text)
        found += [
            (start + line + first, start + line + last)
            for line, line_end in split_lines(text[start:stop])
            for first, last in split_sentences(text[start + line : start + line_end])
        ]
        if fence:
            found.append(fence.span())
            start = fence.end()
    return found


def _score(segment: str, *, text: str, span: tuple[int, int], beside: str) -> tuple[InstructionKind, float]:
    """Return the strongest kind that a segment shows and its score."""
    if segment.startswith("```"):
        return "code", 0.0
    scores: list[tuple[InstructionKind, float]] = [
        ("override", 1.5 if _OVERRIDE.search(segment) else 0.0),
        ("persona", 1.2 if _PERSONA.search(segment) else 0.0),
        ("marker", 1.5 if MARKER.search(segment) else 0.6 if _ROLE_LINE.match(segment) else 0.0),
        ("hidden", 1.0 if _HIDDEN.search(segment) else 0.0),
        ("reply", _score_reply(segment)),
        ("code", _score_code(segment, text[span[1] :])),
    ]
    best = max(scores, key=lambda one: one[1])
    if best[1] >= COUNTS_FROM:
        return best
    around = f"{beside} {text[: span[0]]} {text[span[1] :]}"
    return max(best, ("request", _score_request(segment, around)), key=lambda one: one[1])


def _score_reply(segment: str) -> float:
    """Score an order about the shape of what the reader is going to write back."""
    shaping = _SHAPING.search(segment) is not None
    score = 0.0
    if _YOUR_OUTPUT.search(segment):
        score += 0.4 + (0.7 if shaping or _SHAPED.match(segment) else 0.0)
    return score + (1.0 if _STYLE.search(segment) or _FORMAT.search(segment) else 0.0)


def _score_code(segment: str, after: str) -> float:
    if not _CODE_ASKED.search(segment):
        return 0.0
    following = after.lstrip()[:1500]
    fence = _FENCE.match(following)
    shown = fence.group() if fence else following[:200] if _CODE_LINE.match(following) else ""
    return 0.4 + (0.4 if _INTO_YOURS.search(segment) else 0.0) + (0.7 if shown and _DANGEROUS.search(shown) else 0.0)


def _score_request(segment: str, around: str) -> float:
    """Score a question or a task for a chat assistant that shares nothing with the text around it."""
    said = [stem for stem in dict.fromkeys(stems(segment)) if stem.isalpha()]
    whole = segment.lstrip("\"'( ")[:1].isupper() and segment.rstrip("\"'”’) ")[-1:] in {".", "?", "!"}
    if len(segment.split()) > _MOST_REQUEST_WORDS or not said or not whole or not _ASKS.match(segment):
        return 0.0
    near = set(stems(around))
    shared = sum(stem in near for stem in said)
    unrelated = len(near) >= _ENOUGH_AROUND and shared <= len(said) // 3 and shared <= 1
    chat = _FOR_A_CHAT.search(segment) is not None
    personal = _TO_A_PERSON.search(segment) is not None and not segment.casefold().startswith(("can you", "could you"))
    return (0.2 if personal and not chat else 0.5) + (0.3 if chat else 0.0) + (0.5 if unrelated else 0.0)


def _code_after(text: str, spans: Sequence[tuple[int, int]], found: Sequence[Instruction]) -> Iterator[Instruction]:
    """Yield the code that stands directly after an order to use it, to its end."""
    for order in [one for one in found if one.kind == "code"]:
        for start, end in [span for span in spans if span[0] >= order.end]:
            segment = text[start:end]
            if not segment.startswith("```") and not _looks_like_code(segment):
                break
            yield Instruction(start, end, "code", order.score, segment)
            if segment.startswith("```"):
                break


def _looks_like_code(segment: str) -> bool:
    return _CODE_LINE.match(segment) is not None or sum(sign in "(){}[]=_\"'" for sign in segment) >= 0.12 * len(
        segment
    )
