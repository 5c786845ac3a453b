"""A general set: questions and passages on everyday subjects, to see what an adapter or a level forgets.

The packaged set is `general.toml`, 60 rows of ClapNQ (Apache-2.0, over Wikipedia passages of Natural Questions). It
knows texts only. Rule: an item's text is what a model reads, so that next-token figures need no judge.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from governance.errors import BadInput

PACKAGED = Path(__file__).with_name("general.toml")


def read_general(path: Path | None = None) -> list[tuple[str, str]]:
    """Return (name, text) of a general set: the packaged one, a TOML file like it, or plain text cut at empty lines.

    Raises BadInput for a file that cannot be read as either, or is empty.
    """
    path = path or PACKAGED
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix != ".toml":
            pieces = [piece.strip() for piece in text.split("\n\n") if len(piece.strip()) > 80]
            found = [(f"{path.name} {number}", piece) for number, piece in enumerate(pieces, start=1)]
        else:
            found = [(one["name"], one["text"]) for one in tomllib.loads(text)["items"]]
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise BadInput(
            f"{path} cannot be read as a general set ({error}); give plain text or a TOML of items."
        ) from error
    if not found:
        raise BadInput(f"{path} holds no text of more than 80 characters; give one that does.")
    return found
