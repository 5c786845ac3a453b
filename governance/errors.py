"""The one tree of errors that a person may see.

Every error is a sentence that says what was found, what was expected and what to do. The class says how the
command ends (its exit code), how the HTTP edge answers (its status) and whether trying again may help.

    ProvenantError                exit 1, HTTP 500
    ├── BadInput                  exit 2, HTTP 400   what was given cannot be used as it is
    │   ├── NotFound              exit 2, HTTP 404   a name that is not there
    │   └── TooLarge              exit 2, HTTP 413   more bytes than are taken
    ├── RefusedByPolicy           exit 3, HTTP 403   possible, and not allowed
    ├── PartlyDone                exit 4, HTTP 207   some of it worked; each failure is named
    ├── Busy                      exit 1, HTTP 409   somebody else holds it; a retry helps
    └── Damaged                   exit 1, HTTP 500   stored bytes are not what their digest says
"""

from __future__ import annotations


class ProvenantError(Exception):
    """Something failed; the message is one sentence for a person."""

    exit_code = 1
    http_status = 500
    retry_helps = False


class BadInput(ProvenantError):
    """The input cannot be used as it is."""

    exit_code = 2
    http_status = 400


class NotFound(BadInput):
    """A name that was asked for does not exist."""

    http_status = 404


class TooLarge(BadInput):
    """More bytes were given than are taken."""

    http_status = 413


class RefusedByPolicy(ProvenantError):
    """The request is well formed and a policy says no."""

    exit_code = 3
    http_status = 403


class PartlyDone(ProvenantError):
    """Some items worked and some did not; each failure was named before this was raised."""

    exit_code = 4
    http_status = 207


class Busy(ProvenantError):
    """Another process holds what is needed; trying again later helps."""

    http_status = 409
    retry_helps = True


class Damaged(ProvenantError):
    """Stored bytes do not match the digest they are stored under."""
