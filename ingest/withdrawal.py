"""Withdrawal: a text leaves every answer at once, and the index as soon as one without it is built.

A withdrawal is of content: the Digests of a document's versions, within a collection, under whatever names they stand.
It is written down first and takes effect with that, since every search of every release leaves out what the records
have as withdrawn; the new Generation comes after it. So neither an ingest that runs meanwhile, nor a full disk, nor
a switch back to an older Generation lets a withdrawn text answer. Undoing one makes the texts removed ones, which
the next ingest of their source adds again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from governance.errors import Busy, NotFound, ProvenantError
from governance.locks import hold
from governance.release import ReleaseManifest, live_release
from ingest.generation_checks import let_answer
from ingest.publish import IngestTools, publish
from ingest.versions import Corpus, Version, current_name, mark_withdrawn, read_corpus, reinstate_texts


@dataclass(frozen=True)
class Withdrawal:
    """What was withdrawn: the name it goes by, the Digests, and further documents in which these texts stood.

    `pending` is why the index still holds them, "" where it does not; nothing answers from them in either case.
    """

    document: str
    versions: tuple[str, ...]
    also: tuple[str, ...]
    release: ReleaseManifest | None
    pending: str = ""


def withdraw(document: str, collection: str, tools: IngestTools, *, version: str = "") -> Withdrawal:
    """Withdraw a document, or one version of it by the first characters of its Digest, and publish without it.

    Raises NotFound, and ProvenantError where no index could be built without it; it is withdrawn in that case too.
    """
    with tools.store.session() as session:
        corpus = read_corpus(session, collection)
        name = current_name(corpus, document)
        digests = tuple(one.digest for one in _chosen(corpus, name, collection, version))
        mark_withdrawn(session, collection, digests)
        release = live_release(session)
    also = sorted(other for other, versions in corpus.items() if other != name and _stand_in(digests, versions))
    done = Withdrawal(name, digests, tuple(also), release)
    lock = tools.settings.home / "locks" / f"ingest-{collection}.lock"
    try:
        with hold(lock, doing=f"A withdrawal from {collection}"):
            with tools.store.session() as session:
                corpus = read_corpus(session, collection)
            published = publish(collection, corpus, replace(tools, check=let_answer))  # nothing may hold it up
    except Busy as error:
        return replace(done, pending=str(error))
    except (ProvenantError, OSError) as error:
        raise ProvenantError(
            f"{name} is withdrawn and no release answers from it, but no index could be built without it ({error}); "
            "the next ingest tries again."
        ) from error
    return replace(done, release=published.release)


def reinstate(document: str, collection: str, tools: IngestTools, *, version: str = "") -> tuple[str, ...]:
    """Undo a withdrawal and return the Digests. Raises NotFound where nothing is withdrawn under this name."""
    with tools.store.session() as session:
        corpus = read_corpus(session, collection)
        chosen = _chosen(corpus, current_name(corpus, document), collection, version)
        digests = tuple(one.digest for one in chosen if one.status == "withdrawn")
        if not digests:
            raise NotFound(f"{document} is not withdrawn from {collection}; `provenant documents list` tells what is.")
        reinstate_texts(session, collection, digests)
    return digests


def _chosen(corpus: Corpus, name: str, collection: str, version: str) -> list[Version]:
    prefix = version.removeprefix("sha256:")
    versions = [one for one in corpus.get(name, ()) if one.status != "moved"]
    chosen = [one for one in versions if one.digest.removeprefix("sha256:").startswith(prefix)]
    if not chosen:
        which = f" with version {version}" if version else ""
        raise NotFound(
            f"There is no document {name!r}{which} in {collection}; `provenant documents list` names what there is."
        )
    return chosen


def _stand_in(digests: Sequence[str], versions: Sequence[Version]) -> bool:
    return any(version.digest in digests and version.status != "moved" for version in versions)
