"""Reading one source file: what becomes of it, and its version's place among those of its document.

Unchanged files are passed over, moved ones take their versions along, new and changed ones are read. It knows one
file and the corpus, and refuses to know what is published. Rules: the corpus changes only when a file was read whole;
labels given with the request count, else those that the document has, else those that its text had under another
name; a text that was withdrawn from the collection stays withdrawn under every name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal

from governance.digests import digest_file
from governance.errors import BadInput
from ingest.catalog_mapping import read_mapping_text
from ingest.moves import GoneDocuments, carry_vectors, labels_by_text
from ingest.publish import IngestTools, Progress, chunks_name, read_version
from ingest.sources import SourceFile, folder_roots
from ingest.versions import ALWAYS, IN_INDEX, Version, active_version, add_version, move_document, withdrawn_names

FileStatus = Literal["added", "unchanged", "updated", "moved", "removed", "refused", "failed"]
Labels = tuple[str, ...]


@dataclass(frozen=True)
class IngestRequest:
    """What to ingest. `labels` None keeps the labels a document has; `effective` None dates nothing.

    `accept_removals` lets a run take out most of a folder's documents; `job` is the id of the job that runs it, if any.
    """

    paths: tuple[Path, ...]
    collection: str
    labels: tuple[str, ...] | None = None
    effective: date | None = None
    accept_removals: bool = False
    job: str = ""


@dataclass(frozen=True)
class FileOutcome:
    """What became of one file; `was` is the name that a moved one had."""

    document: str
    version: str
    status: FileStatus
    reason: str = ""
    warnings: tuple[str, ...] = ()
    was: str = ""


@dataclass(frozen=True)
class Reading:
    """What the files of one run are read with: the corpus grows with each, and `gone` shrinks with each move.

    `labelled` are the labels of texts, and `withdrawn` the names of withdrawn ones, by Digest, as the run began.
    """

    request: IngestRequest
    corpus: dict[str, tuple[Version, ...]]
    gone: GoneDocuments
    labelled: Mapping[str, Labels]
    withdrawn: Mapping[str, str]
    tools: IngestTools


def begin_reading(
    request: IngestRequest, corpus: dict[str, tuple[Version, ...]], sources: Sequence[SourceFile], tools: IngestTools
) -> Reading:
    """Return what the files of a run are read with; `corpus` is written into."""
    present = {source.name for source in sources}
    gone = GoneDocuments(corpus, roots=folder_roots(request.paths), present=present)
    return Reading(request, corpus, gone, labels_by_text(corpus), withdrawn_names(corpus), tools)


def read_source(source: SourceFile, reading: Reading) -> FileOutcome:
    """Read one file if it is new or changed, and put its version in its place among the document's versions.

    Raises BadInput with the reason for a file that cannot be taken, and OSError.
    """
    if source.refused:
        raise BadInput(source.refused)
    check_size(source.path, reading.tools.settings.ingest.max_file_megabytes)
    digest = digest_file(source.path)
    versions = reading.corpus.get(source.name, ())
    withdrawn = reading.withdrawn.get(digest, "")
    if withdrawn and any(one.status == "withdrawn" and one.digest == digest for one in versions):
        return FileOutcome(source.name, digest, "unchanged", _withdrawn_reason(withdrawn))
    if withdrawn:
        raise BadInput(_withdrawn_reason(withdrawn))
    if not any(version.status in IN_INDEX for version in versions):
        former = reading.gone.take(digest, source.name)
        if former is not None:
            return _move(former, source, reading)
    return _read_in_place(source, digest, versions, reading)


def _read_in_place(source: SourceFile, digest: str, versions: Sequence[Version], reading: Reading) -> FileOutcome:
    request, tools = reading.request, reading.tools
    active = active_version(versions)
    same = active if active is not None and active.digest == digest else None
    mapping = read_mapping_text(source.path)
    labels, reason = _labels(digest, versions, reading)
    if same is not None and _is_current(same, labels, request.effective, tools, mapping):
        if same.source_root != source.root:  # the folder itself was moved
            reading.corpus[source.name] = tuple(replace(one, source_root=source.root) for one in versions)
        return FileOutcome(source.name, digest, "unchanged", warnings=same.warnings)
    version = _read(source, digest, mapping, tools)
    if not labels and not versions and request.labels is None:
        labels, reason = _labels_of_like(version, reading)
    _place(version, versions, labels, source, reading)
    if same is not None:
        reason = "its labels, dates, mapping or the parser changed"
    return FileOutcome(source.name, digest, "updated" if _is_known(versions) else "added", reason, version.warnings)


def _move(former: Version, source: SourceFile, reading: Reading) -> FileOutcome:
    """Take all versions of a gone document to the new name of its text."""
    corpus, tools = reading.corpus, reading.tools
    left, arrived = move_document(corpus[former.document], to=source.name, onto=corpus.get(source.name, ()))
    indexed = [version for version in corpus[former.document] if version.status in IN_INDEX]
    carried = [carry_vectors(version, source.name, tools) for version in indexed]
    version = _read(source, former.digest, read_mapping_text(source.path), tools)
    labels = reading.request.labels if reading.request.labels is not None else former.labels
    _place(version, arrived, labels, source, reading)
    corpus[former.document] = left
    chunks, anew = (sum(counts) for counts in zip(*carried, strict=True))
    cost = f"{anew} of {chunks} chunks embedded anew, since a document's name stands in its chunks" if anew else ""
    reason = f"was {former.document}; {cost or 'nothing was embedded again'}"
    return FileOutcome(source.name, former.digest, "moved", reason, version.warnings, former.document)


def _read(source: SourceFile, digest: str, mapping: str, tools: IngestTools) -> Version:
    kept = tools.artefacts.keep_source(digest, source.path)
    name = source.name
    return read_version(
        name, kept, digest, tools, mapping=mapping, tell=lambda share: tools.tell(Progress(share, 1, name))
    )


def _place(version: Version, versions: Sequence[Version], labels: Labels, source: SourceFile, reading: Reading) -> None:
    """Put a version in its place in time; a text that was known under the name keeps its first day in force.

    One that another text had taken the place of comes into force anew: its source went back to it.
    """
    gone = {"moved", "superseded"}
    known = next((one for one in versions if one.digest == version.digest and one.status not in gone), None)
    first_day = known.effective_from if known else datetime.now(UTC).date() if _is_known(versions) else ALWAYS
    placed = replace(version, effective_from=reading.request.effective or first_day)
    reading.corpus[source.name] = tuple(
        one if one.status == "moved" else replace(one, labels=labels, source_root=source.root)
        for one in add_version(versions, placed)
    )


def _is_known(versions: Sequence[Version]) -> bool:
    """Tell whether a name has versions of its own: those that moved on belong to another name."""
    return any(version.status != "moved" for version in versions)


def _labels(digest: str, versions: Sequence[Version], reading: Reading) -> tuple[Labels, str]:
    """Return the labels for a text under a name, and why where they are not the request's or the document's own."""
    if reading.request.labels is not None:
        return reading.request.labels, ""
    own = next((one.labels for one in reversed(versions) if one.status != "moved"), ())
    if own or any(version.digest == digest and version.status != "moved" for version in versions):
        return own, ""
    labels = reading.labelled.get(digest, ())
    return labels, f"its text stands in another document; the labels {', '.join(labels)} stay on it" if labels else ""


def _labels_of_like(version: Version, reading: Reading) -> tuple[Labels, str]:
    parsed = reading.tools.artefacts.parsed(version.digest, version.parser)
    labels, name = reading.gone.labels_of_like(parsed, reading.tools)
    if not labels:
        return (), ""
    return labels, f"most of its text stood in {name}, which is gone; the labels {', '.join(labels)} stay on it"


def _withdrawn_reason(name: str) -> str:
    return (
        f"This text was withdrawn from the collection as {name} and stays out of every answer; "
        f"`provenant documents withdraw {name} --undo` allows it again."
    )


def _is_current(version: Version, labels: Labels, effective: date | None, tools: IngestTools, mapping: str) -> bool:
    """Tell whether nothing about a version would change by reading its source again."""
    dated = effective is None or effective == version.effective_from
    parser = tools.parser_key(version.document, mapping)
    read = tools.artefacts.has_chunks(version.digest, chunks_name(version.document, tools.cutter, parser))
    return version.parser == parser and version.labels == labels and dated and read


def check_size(path: Path, megabytes: int) -> None:
    """Raise BadInput for an empty file and for one over the limit."""
    size = path.stat().st_size
    if size == 0:
        raise BadInput("The file is empty.")
    if size > megabytes * 1024 * 1024:
        raise BadInput(
            f"The file has {size / 1024 / 1024:.0f} MB and the limit is {megabytes} MB; "
            "split it, or raise PROVENANT_INGEST__MAX_FILE_MEGABYTES."
        )
