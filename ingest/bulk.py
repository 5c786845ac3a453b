"""Bulk ingest: reading, cutting and embedding spread over a Ray cluster, before one process publishes as always.

    sources -> Ray Data: a reader on each core (parse apart, cut, embed, keep) -> the ingest finds all of it kept

Readers write only what is kept under its Digest, in the home folder that all nodes share; versions, Generation and
release are made by the one process that runs the ingest, from the same files, so the result is that of one process.
Only names and reasons travel through Ray: memory is bounded by the number of readers, which is bounded by the cores and
the memory of the nodes. A reader that is lost with its node is started again elsewhere and its files are read again; a
file that the cluster could not read for any other reason is read by the ingest itself. No secret leaves this process,
nothing is reported to anybody, and a local cluster listens on the loopback only. Refuses to know what is published.
"""

from __future__ import annotations

import importlib.util
import logging
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from governance.digests import digest_file
from governance.errors import BadInput, ProvenantError
from governance.settings import IndexSettings, JudgeSettings, ServerSettings, Settings, StoreSettings
from ingest.artefacts import Artefacts
from ingest.bulk_cluster import connected
from ingest.catalog_mapping import read_mapping_text
from ingest.embed import Embedder
from ingest.isolation import IsolatedParser
from ingest.publish import IngestTools, Progress, ReadingTools, chunks_name, new_parser, read_version
from ingest.source_reading import check_size
from ingest.sources import SourceFile

_AHEAD_SHARE = 0.9  # of the progress: the rest is what one process does
_EMBEDDER_MEGABYTES = 700
_MOST_BLOCKS = 2000  # files travel in so many parcels; each is read again where its reader is lost
LoadEmbedder = Callable[[], Embedder]


@dataclass(frozen=True)
class ReadingPlan:
    """What a reader is told. `mark` is a file that it must see, `way` what decides where it keeps what it read."""

    settings: Settings
    load_embedder: LoadEmbedder
    left_out: Set[str]
    mark: Path
    way: tuple[str, ...]


@dataclass(frozen=True)
class NodeTools(ReadingTools):
    """What a reader works with."""

    embedder: Embedder
    artefacts: Artefacts
    settings: Settings
    parser: IsolatedParser | None = None


@dataclass(frozen=True)
class Ahead:
    """What became of a file: kept (nothing is said), refused with a reason, or a node's fault that ends the run."""

    number: int
    refused: str = ""
    fault: str = ""


@dataclass
class Reader:
    """Reads files on one core of a node; it lives as long as the run, with one embedder and one parser process."""

    plan: ReadingPlan
    tools: NodeTools = field(init=False)
    fault: str = field(init=False)

    def __post_init__(self) -> None:
        settings = self.plan.settings
        artefacts = Artefacts(settings.home / "documents")
        self.tools = NodeTools(self.plan.load_embedder(), artefacts, settings, new_parser(settings))
        self.fault = _fault_of_node(self.plan, self.tools)

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Read one file, as a row of Ray Data."""
        if self.fault:
            return vars(Ahead(row["number"], fault=self.fault))
        source = SourceFile(row["name"], Path(row["path"]), "")
        try:
            refused = read_early(source, self.tools, left_out=self.plan.left_out)
        except FileNotFoundError:
            seen = f"A node of the Ray cluster cannot see {source.path}; every node needs the ingested folders under "
            return vars(Ahead(row["number"], fault=f"{seen}the same path."))
        return vars(Ahead(row["number"], refused=refused))


def read_early(source: SourceFile, tools: ReadingTools, *, left_out: Set[str] = frozenset()) -> str:
    """Read one source and keep what was read; return the reason where it is refused, "" otherwise.

    Texts that are left out and those that are kept already are passed over. A file that cannot be opened is left to the
    ingest, which reports it. Raises FileNotFoundError.
    """
    try:
        check_size(source.path, tools.settings.ingest.max_file_megabytes)
        digest = digest_file(source.path)
        mapping = read_mapping_text(source.path)
        name = chunks_name(source.name, tools.cutter, tools.parser_key(source.name, mapping))
        if digest not in left_out and not tools.artefacts.has_chunks(digest, name):
            kept = tools.artefacts.keep_source(digest, source.path)
            read_version(source.name, kept, digest, tools, mapping=mapping)
    except BadInput as error:
        return str(error)
    except FileNotFoundError:
        raise
    except OSError:
        return ""
    return ""


def with_ray(tools: IngestTools, address: str, load_embedder: LoadEmbedder) -> IngestTools:
    """Return tools whose ingest first lets a Ray cluster read: `local`, or the address of one that runs.

    `load_embedder` is called on the nodes. Raises BadInput where Ray is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        raise BadInput("Ray is not installed; `pip install 'provenant[ray]'` adds it, here and on every node.")

    def read_ahead(sources: Sequence[SourceFile], left_out: Set[str]) -> Sequence[SourceFile]:
        with _mark(tools.settings.home) as mark, connected(address):
            plan = ReadingPlan(_without_secrets(tools.settings), load_embedder, left_out, mark, way_of(tools))
            return _read_on_cluster(sources, plan, tools.tell)

    def tell_rest(at: Progress) -> None:
        done = _AHEAD_SHARE * at.total + (1 - _AHEAD_SHARE) * at.done
        tools.tell(replace(at, done=done))

    return replace(tools, read_ahead=read_ahead, tell=tell_rest)


def way_of(tools: ReadingTools) -> tuple[str, ...]:
    """Return what must be equal on every node: how texts are cut and embedded, how a PDF and a picture are read."""
    return (tools.cutter, tools.parser_key("a.pdf"), tools.parser_key("a.png"))


def _read_on_cluster(
    sources: Sequence[SourceFile], plan: ReadingPlan, tell: Callable[[Progress], None]
) -> list[SourceFile]:
    """Return the sources, those refused with their reason. Raises ProvenantError for a node at fault."""
    found = list(sources)
    rows = [
        {"number": number, "name": source.name, "path": str(source.path)}
        for number, source in enumerate(sources)
        if not source.refused
    ]
    tell(Progress(0, len(found), f"the Ray cluster reads {len(rows)} files"))
    for done, ahead in enumerate(_rows_read(rows, plan), start=1):
        source = found[ahead.number]
        if ahead.fault and source.path.exists():
            raise ProvenantError(ahead.fault)
        if ahead.refused:
            found[ahead.number] = replace(source, refused=ahead.refused)
        tell(Progress(_AHEAD_SHARE * done * len(found) / len(rows), len(found), source.name))
    return found


def _rows_read(rows: Sequence[Mapping[str, Any]], plan: ReadingPlan) -> Iterator[Ahead]:
    """Yield what becomes of each file, in the order in which they are done."""
    if not rows:
        return
    import ray.data

    logging.getLogger("ray.data").setLevel(logging.ERROR)  # it sets up its logging when it is imported
    megabytes = plan.settings.ingest.parser_megabytes + _EMBEDDER_MEGABYTES
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # the ingest itself reads what the cluster could not
    data = ray.data.from_items(list(rows), override_num_blocks=min(len(rows), _MOST_BLOCKS))
    read = data.map(
        Reader,
        fn_constructor_args=(plan,),
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=_count_readers(ray.nodes(), megabytes)),
        num_cpus=1,
        memory=megabytes * 1024 * 1024,
    )
    for row in read.iter_rows():
        yield Ahead(**row)


def _count_readers(nodes: Sequence[Mapping[str, Any]], megabytes: int) -> int:
    """Return how many readers of so much memory the nodes have room for. Raises ProvenantError where it is none."""
    room = 0
    for node in nodes:
        if node["Alive"]:
            cores, memory = node["Resources"].get("CPU", 0), node["Resources"].get("memory", 0)
            room += min(int(cores), int(memory) // (megabytes * 1024 * 1024))
    if not room:
        raise ProvenantError(
            f"No node of the Ray cluster has a core and {megabytes:,} MB of memory for a reader; "
            "lower PROVENANT_INGEST__PARSER_MEGABYTES or add a node."
        )
    return room


@contextmanager
def _mark(home: Path) -> Iterator[Path]:
    """Put a file into the home by which a node can tell that it sees the same folder."""
    mark = home / "documents" / f".shared-{secrets.token_hex(8)}"
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
    try:
        yield mark
    finally:
        mark.unlink(missing_ok=True)


def _fault_of_node(plan: ReadingPlan, tools: NodeTools) -> str:
    if not plan.mark.exists():
        return f"A node of the Ray cluster does not see {plan.settings.home}; every node needs this folder shared."
    if way_of(tools) != plan.way:
        return (
            "A node of the Ray cluster reads or embeds in another way than this machine; "
            "every node needs the same version, models and text recognition."
        )
    return ""


def _without_secrets(settings: Settings) -> Settings:
    """Return the settings as a node needs them: no key, no token, no address of a database."""
    return settings.model_copy(
        update={
            "index": IndexSettings(),
            "server": ServerSettings(),
            "judge": JudgeSettings(),
            "store": StoreSettings(),
        }
    )
