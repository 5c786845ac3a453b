"""The words that `assistant.facts` reads as facts: units, numbers, phrases that decide, and words that are equal.

Data alone. A unit is written as a base unit and how many of it; a phrase gives its kind and its one form. To let two
words count as the same, add them to one line of `EQUALS`: only where exchanging them never changes what a clause says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

FactKind = Literal["word", "number", "date", "negation", "modality", "comparison", "limit", "order", "joint"]

UNITS: Mapping[str, tuple[str, float]] = {
    **dict.fromkeys(("second", "sec"), ("second", 1.0)),
    **dict.fromkeys(("minute", "min"), ("second", 60.0)),
    **dict.fromkeys(("hour", "hr"), ("second", 3600.0)),
    **dict.fromkeys(("day",), ("day", 1.0)),
    **dict.fromkeys(("week", "wk"), ("day", 7.0)),
    **dict.fromkeys(("month", "mo"), ("month", 1.0)),
    **dict.fromkeys(("quarter",), ("quarter", 1.0)),
    **dict.fromkeys(("year", "yr"), ("month", 12.0)),
    **dict.fromkeys(("dollar", "usd", "$"), ("usd", 1.0)),
    **dict.fromkeys(("euro", "eur", "€"), ("eur", 1.0)),
    **dict.fromkeys(("pound", "gbp", "£"), ("gbp", 1.0)),
    **dict.fromkeys(("cent",), ("usd", 0.01)),
    **dict.fromkeys(("percent", "%", "pct"), ("%", 1.0)),
    **{unit: (unit, 1.0) for unit in "mm cm m km kg g mg gb mb kb tb mhz ghz hz w kw v mah ml l lb oz rpm dpi".split()},
    **{unit: (unit, 1.0) for unit in "inch foot mile gallon watt volt page copy share unit person employee".split()},
    **{unit: (unit, 1.0) for unit in "business-day calendar-day working-day".split()},
}
UNIT_ENDINGS = {"inches": "inch", "feet": "foot", "copies": "copy", "persons": "person", "people": "person"}
CURRENCIES = frozenset({"$", "€", "£", "usd", "eur", "gbp"})
DAY_KINDS = {"business": "business-day", "working": "business-day", "calendar": "day", "consecutive": "day"}
MULTIPLIERS = {
    "hundred": 100.0,
    "thousand": 1e3,
    "million": 1e6,
    "billion": 1e9,
    "trillion": 1e12,
    "mn": 1e6,
    "bn": 1e9,
}
_SMALL = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()
NUMBER_WORDS = {
    **{word: float(value) for value, word in enumerate([*_SMALL, *"seventeen eighteen nineteen".split()])},
    **{w: 10.0 * (i + 2) for i, w in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split())},
}
ORDINALS = {
    word: i + 1 for i, word in enumerate("first second third fourth fifth sixth seventh eighth ninth tenth".split())
}

PHRASES: Sequence[tuple[FactKind, str, str]] = (
    (
        "comparison",
        ">=",
        "at least|not less than|no less than|not fewer than|no fewer than|minimum of|or more|or greater",
    ),
    ("comparison", ">=", "or longer|or higher|no earlier than|not earlier than|no lower than|no sooner than"),
    ("comparison", "<=", "at most|not more than|no more than|up to|not to exceed|not exceed|not exceeding|maximum of"),
    (
        "comparison",
        "<=",
        "no greater than|not greater than|no longer than|not longer than|no later than|not later than",
    ),
    ("comparison", "<=", "or less|or fewer|or lower|or shorter|no higher than|not higher than"),
    ("comparison", ">", "more than|greater than|in excess of|exceeding|longer than|higher than|later than|larger than"),
    ("comparison", "<", "less than|fewer than|smaller than|shorter than|lower than|earlier than"),
    ("modality", "prohibited", "may not|shall not|must not|can not|could not|will not|cannot|can't|mustn't|won't"),
    ("modality", "prohibited", "shall never|must never|may never|will never|not permitted to|not allowed to|shan't"),
    ("modality", "exempt", "not required to|not obligated to|not obliged to|need not|not have to|not need to|needn't"),
    ("modality", "should not", "should not|shouldn't"),
    ("modality", "must", "shall|must|will|required to|have to|has to|obligated to|obliged to|need to|needs to"),
    ("modality", "may", "may|can|could|might|permitted to|allowed to|entitled to|the right to"),
    ("modality", "should", "should|ought to|recommended to"),
    ("modality", "would", "would"),
    ("negation", "not", "not|never|no longer|don't|doesn't|didn't|isn't|aren't|wasn't|weren't|hasn't|haven't|hadn't"),
    ("negation", "no", "no|none|nobody|nothing|no one"),
    ("negation", "nor", "neither|nor"),
    ("negation", "without", "without"),
    ("limit", "only", "only|solely|exclusively"),
    ("limit", "except", "except|excluding|other than|exclusive of|with the exception of"),
    ("limit", "unless", "unless"),
    ("limit", "provided", "provided that|provided however that|on condition that"),
    ("order", "before", "before|prior to|preceding|in advance of"),
    ("order", "after", "after|subsequent to"),
    ("order", "until", "until|till"),
    ("order", "within", "within"),
    ("joint", "or", "or"),
    ("joint", "and", "and"),
    ("word", "about", "with respect to|with regard to|in respect of|regarding|concerning|about"),
    ("word", "because", "because of|due to|as a result of|because"),
    ("word", "all", "all|every|each"),
    ("word", "under", "pursuant to|in accordance with|according to|under"),
    ("word", "if", "if|in the event that|in the event"),
)
EQUALS = {
    word: group.split()[0]
    for group in (
        "begin begins began commence commences commenced commencing start starts started starting beginning",
        "buy buys buying bought purchase purchases purchased purchasing",
        "use uses used using utilize utilizes utilized utilise utilises utilizing",
        "notify notifies notified inform informs informed",
        "keep keeps kept retain retains retained retaining keeping",
        "send sends sent sending transmit transmits transmitted",
        "agreement agreements contract contracts",
        "help helps assist assists assisted helped",
        "allow allows allowed permit permits permitted",
        "prohibit prohibits prohibited forbid forbids forbidden",
        "choose chooses chose select selects selected",
        "cost costs price priced prices",
        "have has had having hold holds possess possesses",
        "we us our ours",
        "you your yours",
        "writing written",
        "approximately roughly",
        "get gets obtain obtains obtained",
        "give gives given provide provides provided furnish furnishes furnished",
        "ensure ensures",
        "pay pays paid paying",
        "make makes made making",
        "take takes took taken taking",
    )
    for word in group.split()
}
LEFT_OUT = frozenset(
    "a an the of to for in on at by with from as that which who whom whose this these those such it its their his her "
    "he she they them him be is are was were been being am do does did has have had there so also then hereby herein "
    "thereof hereof thereto hereto therein hereunder thereunder own same please just".split()
)
NUMBER_COMPARED = {"over": ">", "above": ">", "exceeds": ">", "exceed": ">", "under": "<", "below": "<"}
