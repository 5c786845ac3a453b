"""Respond: from a Query and its Passages to a checked Answer.

    judge whether the documents can answer -> write (the model, streaming) -> check each sentence -> cite

The model's wording is kept where its sentences are supported and speak to the question at least about as well as the
best quote does. Otherwise the best quote is the answer, word for word: a small model often rambles, and what a person
reads must be worth reading. A model with an adapter is believed where it says that the passages do not answer, and
where its whole wording stands in one of them (`assistant.adapted`). Nothing here reads a clock for its result or draws
a random number.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from dataclasses import dataclass

from assistant.adapted import find_runs, is_refusal, may_become_refusal
from assistant.answer import AnswerSentence, Draft, Wording
from assistant.citations import CitationList, with_markers
from assistant.disclosure import DraftMask
from assistant.generation import Decoding, Engine, Generation
from assistant.guards import Removed, carries_out
from assistant.prompt import build_messages
from assistant.questions import holds_kind
from assistant.quotes import Quote
from assistant.retrieve import Passage, fit_context
from assistant.support import Finding, Weigh, check_sentence
from governance.digests import digest_text
from governance.settings import AnswerSettings, DisclosureSettings
from ingest.words import split_sentences

MOST_PASSAGES = 4  # that a prompt shows, the served one and that of an example
_AS_GOOD_AS = 0.95
_SENTENCES_ASKED_FOR = 2
_SOURCE_MARK = " > "  # the line that names a passage's source, repeated by the model


@dataclass(frozen=True)
class Written:
    """What the model wrote, on which prompt; whether it has an adapter, and whether it refused and is believed."""

    generation: Generation
    prompt_digest: str
    context: tuple[Passage, ...]
    adapted: bool = False
    refused: bool = False


@dataclass(frozen=True)
class Checked:
    """The checked wording of an answer; nothing where the model `refused`."""

    text: str
    wording: Wording
    sentences: tuple[AnswerSentence, ...]
    findings: tuple[tuple[str, Finding], ...]
    refused: bool = False

    @property
    def outcome(self) -> str:
        """Return what became of the model's wording, in words."""
        if self.refused:
            return "the model does not find it in the passages"
        return "the model's wording is supported" if self.wording == "model" else "quoted from the document"


def write(
    question: str,
    passages: Sequence[Passage],
    *,
    engine: Engine,
    settings: AnswerSettings,
    stop: threading.Event,
    policy: DisclosureSettings,
) -> Generator[Draft, None, Written]:
    """Yield the model's wording as it comes, masked as the policy says, and return the whole.

    What may become an adapted model's refusal is held back.
    """
    context = fit_context(
        passages, count_tokens=engine.count_tokens, budget=settings.context_tokens, most=MOST_PASSAGES
    )
    prompt = engine.render(build_messages(question, context))
    adapted = bool(engine.identity.adapter)
    said, held, mask = "", "", DraftMask(policy)
    with engine.stream(prompt, decoding=decoding_of(settings), stop=stop) as stream:
        for piece in stream:
            said, held = said + piece, held + piece
            if not (adapted and may_become_refusal(said)):
                yield Draft(mask.feed(held))
                held = ""
            if _says_enough(said):
                break
    yield Draft(mask.finish())
    generation = stream.finish()
    refused = adapted and settings.adapter_may_refuse and is_refusal(generation.text)
    return Written(generation, digest_text(prompt), tuple(context), adapted, refused)


def _says_enough(said: str) -> bool:
    """Tell whether two sentences are complete, or a paragraph is: what follows was not asked for."""
    return "\n\n" in said.lstrip() or len(split_sentences(said)) > _SENTENCES_ASKED_FOR


def decoding_of(settings: AnswerSettings) -> Decoding:
    """Return how answers are decoded: greedily, so that they can be made again."""
    return Decoding(settings.max_new_tokens)


def check(
    question: str,
    written: Written,
    quotes: Sequence[Quote],
    *,
    citations: CitationList,
    weigh: Weigh,
    removed: Sequence[Removed] = (),
) -> Checked:
    """Check the model's sentences and return the wording that a person gets to read.

    A sentence that carries out what was `removed` from the Passages is unsupported, whatever it says.
    """
    if written.refused:
        return Checked("", "none", (), (), refused=True)
    copied = _copied(written, quotes, removed)
    findings = copied or _check_sentences(written, weigh, removed)
    kept = [(text, finding) for text, finding in findings if finding.support != "unsupported"]
    if copied or (kept and _speaks_to(question, kept, quotes)):
        sentences = [citations.sentence(text, finding) for text, finding in kept]
        sound = tuple(sentence for sentence in sentences if sentence.citations)
        if sound:
            return Checked(with_markers(sound), "model", sound, tuple(findings))
    quoted = quote_best(quotes, citations)
    return Checked(with_markers(quoted), "verbatim" if quoted else "none", quoted, tuple(findings))


def quote_best(quotes: Sequence[Quote], citations: CitationList) -> tuple[AnswerSentence, ...]:
    """Return the best quote as the answer, or nothing where no quote stands at its place."""
    for quote in quotes:
        number = citations.cite(quote.window, score=1.0)
        if number is not None:
            return (AnswerSentence(_readable(quote), "supported", (number,)),)
    return ()


def _readable(quote: Quote) -> str:
    """Return a quote on one line; a line of a catalogue record reads only with its product's name."""
    chunk = quote.window.passage.chunk
    text = " ".join(quote.window.text.split())
    name = " ".join(chunk.path)
    return f"{name}: {text}" if chunk.kind == "record" and name and name not in text else text


def _copied(written: Written, quotes: Sequence[Quote], removed: Sequence[Removed]) -> list[tuple[str, Finding]]:
    """Return an adapted model's whole wording where it stands in the Context, as its best place says it, or nothing."""
    text = " ".join(written.generation.text.split())
    if not written.adapted or written.generation.finish != "stop" or carries_out(text, removed):
        return []
    found = [Finding("supported", window, 1.0) for window in find_runs(text, written.context)]
    if not found:
        return []
    best = max(found, key=lambda finding: _quote_score(finding, quotes))
    return [(" ".join(best.window.text.split()) if best.window else text, best)]


def _check_sentences(written: Written, weigh: Weigh, removed: Sequence[Removed]) -> list[tuple[str, Finding]]:
    text = written.generation.text
    spans = split_sentences(text)
    if written.generation.finish != "stop" and len(spans) > 1:
        spans = spans[:-1]  # cut off in the middle
    whole = (" ".join(text[start:end].split()) for start, end in spans)
    texts = [one for one in dict.fromkeys(whole) if one.endswith((".", "!", "?")) and _SOURCE_MARK not in one]
    return [(one, _check_one(one, written.context, weigh, removed)) for one in texts[:_SENTENCES_ASKED_FOR]]


def _check_one(sentence: str, context: Sequence[Passage], weigh: Weigh, removed: Sequence[Removed]) -> Finding:
    obeys = carries_out(sentence, removed)
    return Finding("unsupported", None, 0.0, obeys) if obeys else check_sentence(sentence, context, weigh=weigh)


def _speaks_to(question: str, kept: Sequence[tuple[str, Finding]], quotes: Sequence[Quote]) -> bool:
    """Tell whether supported sentences answer about as well as the best quote, and name the kind asked for."""
    if not any(finding.support == "supported" for _, finding in kept) or not quotes:
        return False
    if not any(holds_kind(question, text) for text, _ in kept):
        return False
    return max(_quote_score(finding, quotes) for _, finding in kept) >= _AS_GOOD_AS * quotes[0].score


def _quote_score(finding: Finding, quotes: Sequence[Quote]) -> float:
    """Return the score of the best quote that overlaps the window which supports a sentence."""
    window = finding.window
    if window is None:
        return 0.0
    overlapping = [
        quote.score
        for quote in quotes
        if quote.window.passage.chunk.id == window.passage.chunk.id
        and quote.window.start < window.end
        and window.start < quote.window.end
    ]
    return max(overlapping, default=0.0)
