"""What `provenant documents withdraw` does and says: the withdrawal, and the releases that it concerns."""

from __future__ import annotations

from typing import Any

from ui.terminal import print_line


def withdrawal_value(document: str, collection: str, *, version: str = "") -> dict[str, Any]:
    """Withdraw a document and return what was done as JSON. Raises NotFound."""
    from assistant.withdrawn import concerned_releases
    from ingest.withdrawal import withdraw
    from ui.installation import Installation

    installation = Installation()
    done = withdraw(document, collection, installation.ingest_tools(lambda _: None), version=version)
    with installation.store.session() as session:
        concerned = concerned_releases(session, installation.settings.home, collection, done.versions)
    return {
        "document": done.document,
        "status": "withdrawn",
        "versions": list(done.versions),
        "also_withdrawn": list(done.also),
        "pending": done.pending,
        "release_id": done.release.id if done.release else None,
        **concerned.to_value(),
        "told": concerned.lines(),
    }


def reinstate_value(document: str, collection: str, *, version: str = "") -> dict[str, Any]:
    """Undo a withdrawal and return what was done as JSON. Raises NotFound."""
    from ingest.withdrawal import reinstate
    from ui.installation import Installation

    digests = reinstate(document, collection, Installation().ingest_tools(lambda _: None), version=version)
    return {"document": document, "status": "removed", "versions": list(digests)}


def tell_withdrawal(value: dict[str, Any]) -> None:
    """Print what was done in sentences."""
    if value["status"] == "removed":
        print_line(f"{value['document']} is allowed again; ingest its source to let it answer")
        return
    print_line(f"{value['document']} is withdrawn; release {value['release_id']} is live")
    if value["also_withdrawn"]:
        print_line(f"  the same text stood in {', '.join(value['also_withdrawn'])}, withdrawn with it")
    if value["pending"]:
        print_line(f"  the index is built without it at the next ingest: {value['pending']}")
    for line in value["told"]:
        print_line(f"  {line}")
