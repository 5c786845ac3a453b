"""Language: tell the language of a text, and warn of a document whose language the embedder does not know.

By script where the script tells, else by common short words. A short or unclear text counts as known: the result is a
note or a warning, never a refusal.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

_LEAST_HITS = 2
_LOOKED_AT = 20_000  # characters from the middle of a document
_LEAST_SHARE = 0.08  # of short words among the words of a document: running text has 25 % and more
NAMES = {
    "en": "English",
    "de": "German",
    "fr": "French",
    "es": "Spanish",
    "it": "Italian",
    "pt": "Portuguese",
    "nl": "Dutch",
    "pl": "Polish",
    "sv": "Swedish",
    "tr": "Turkish",
    "ru": "Russian",
    "el": "Greek",
    "zh": "Chinese",
    "ja": "Japanese",
    "ko": "Korean",
    "ar": "Arabic",
    "he": "Hebrew",
    "hi": "Hindi",
    "th": "Thai",
}
_SCRIPTS = {
    "CYRILLIC": "ru",
    "GREEK": "el",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "HANGUL": "ko",
    "CJK": "zh",
    "ARABIC": "ar",
    "HEBREW": "he",
    "DEVANAGARI": "hi",
    "THAI": "th",
}
_SHORT_WORDS = {
    "en": "the of and to in is are what which how who when where why does do can may must for with on at by it this "
    "that be there any my our your we if not from have has much many long",
    "de": "der die das und ist sind was wie wer wann wo warum welche welcher ein eine einen für mit auf bei von zu "
    "nicht ich wir darf muss kann den dem im zum zur es gibt wird werden viel lange",
    "fr": "le la les des et est sont que quel quelle quels combien qui quand où pourquoi un une pour avec sur dans "
    "du au aux ne pas je nous peut doit ce cette il comment est-ce",
    "es": "el la los las y es son qué que cuál cuánto cuántos quién cuándo dónde por para con en del al un una no "
    "puede debe se como cómo hay este esta yo",
    "it": "il lo la gli le e è sono che quale quanto quanti chi quando dove perché un una per con su nel della del "
    "di non può deve come si questo questa",
    "pt": "o os as e é são que qual quanto quantos quem quando onde por para com em do da dos das no na um uma não "
    "pode deve como se este esta ao",
    "nl": "de het een en is zijn wat welke hoe wie wanneer waar waarom voor met op bij van te niet ik wij mag moet "
    "kan er dat dit veel lang",
    "pl": "jest są co jaki jaka jakie ile kto kiedy gdzie dlaczego dla z na przy w do nie czy może musi się to ten ta",
    "sv": "och är vad vilken hur vem när var varför en ett för med på vid av till inte jag vi får måste kan det den "
    "som",
    "tr": "ve nedir ne nasıl kim zaman nerede neden bir için ile bu şu mı mi mu mü var yok kaç hangi olarak",
}


def language_of(text: str, *, least_share: float = 0.0) -> str:
    """Return the likely language as an ISO 639-1 code, or "" where it cannot be told.

    `least_share` is that of the language's short words among all words; lists of names and numbers stay below it.
    """
    scripts = Counter(_script(sign) for sign in text if sign.isalpha())
    if not scripts:
        return ""
    by_script = {
        code: sum(n for name, n in scripts.items() if _SCRIPTS.get(name) == code) for code in _SCRIPTS.values()
    }
    if by_script["ja"]:
        return "ja"
    code, count = max(by_script.items(), key=lambda one: one[1])
    return code if count > 0.4 * scripts.total() else _by_short_words(text, least_share)


def _script(sign: str) -> str:
    return unicodedata.name(sign, "").split(" ")[0].split("-")[0]


def _by_short_words(text: str, least_share: float) -> str:
    said = re.findall(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", text.casefold())
    counted = Counter(said)
    hits = {code: sum(counted[word] for word in set(short.split())) for code, short in _SHORT_WORDS.items()}
    best = max(hits, key=lambda code: (hits[code], code == "en"))
    enough = hits[best] >= max(_LEAST_HITS, least_share * len(said))
    return best if enough and (best == "en" or hits[best] > hits["en"] + 1) else ""


def document_warning(text: str, *, known: Sequence[str] = ("en",)) -> str:
    """Return a warning where a document is in a language that the embedder does not know, or ""."""
    first = max(0, (len(text) - _LOOKED_AT) // 2)
    looked_at = text[first : first + _LOOKED_AT]
    code = language_of(looked_at, least_share=_LEAST_SHARE)
    if not code or code in known:
        return ""
    names = " and ".join(NAMES.get(one, one) for one in known)
    return (
        f"the text seems to be in {NAMES[code]} and the search by meaning knows {names}: it is found by its words, "
        "so try some questions before you publish"
    )
