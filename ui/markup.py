"""HTML from trees of calls, escaped by type.

A plain string is text and is escaped; only what `element` returned is markup. There is no way to pass raw HTML, so a
document, a file name or a question cannot become part of the page by an oversight. Attributes whose value would be an
address (`href`, `src`) take site paths and PNG data only.
"""

from __future__ import annotations

from base64 import b64encode
from html import escape

_VOID = frozenset({"img", "hr", "br"})
_PICTURE = "data:image/png;base64,"


class Html(str):
    """Text that is markup already. Made by the functions of this module only."""

    __slots__ = ()


def element(name: str, *inside: str, **attributes: str | int | None) -> Html:
    """Return an element. Plain strings inside are escaped; an attribute that is None is left out.

    Attribute names are written with `_` for `-`, and a closing `_` is dropped: `class_`, `aria_label`, `data_open`.
    Raises ValueError for an address that is neither a path of this site nor a picture made by `picture_address`.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items() if value is not None)
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{together(*inside)}</{name}>")


def together(*parts: str) -> Html:
    """Return the parts one after the other, plain strings escaped."""
    return Html("".join(part if isinstance(part, Html) else escape(part) for part in parts))


def picture_address(png: bytes) -> str:
    """Return a PNG as the value of an `src` attribute, so that a picture has no address others could ask for."""
    return _PICTURE + b64encode(png).decode("ascii")


def _attribute(key: str, value: str | int) -> str:
    name = key.rstrip("_").replace("_", "-")
    if name.startswith("on"):
        raise ValueError(f"The attribute {name} would run a script; listen in assets/page.js instead.")
    if name in {"href", "src"} and not _is_own_address(str(value)):
        raise ValueError(
            f"The address {str(value)[:40]!r} is not a path of this site; expected one such as /traces/ID."
        )
    return f' {name}="{escape(str(value))}"'


def _is_own_address(value: str) -> bool:
    return value.startswith(_PICTURE) or (value.startswith("/") and not value.startswith(("//", "/\\")))
