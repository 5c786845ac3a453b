"""Our ingest beside a plain LlamaIndex pipeline on the same PDFs, in the same run.

    python -m benchmarks.ingest_speed FOLDER [--rounds 1] [--out FILE]      # the PDFs below FOLDER

The peer: SimpleDirectoryReader, SentenceSplitter(512), HuggingFaceEmbedding with the same MiniLM weights,
QdrantVectorStore on the client's local mode. Each runs in a process of its own into an empty folder.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measured import write_result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--pipeline", choices=("ours", "llama-index"))
    arguments = parser.parse_args()
    if arguments.pipeline:
        run = run_ours if arguments.pipeline == "ours" else run_llama_index
        print(json.dumps({**run(arguments.folder), "peak_mb": peak_megabytes()}))
        return
    rows: dict[str, list[dict[str, float]]] = {"ours": [], "llama-index": []}
    with tempfile.TemporaryDirectory() as gathered:
        for number, path in enumerate(sorted(arguments.folder.rglob("*.pdf"))):
            shutil.copy(path, Path(gathered) / f"{number:03}-{path.name}")
        for _ in range(arguments.rounds):
            for pipeline, found in rows.items():
                found.append(run_apart(pipeline, gathered))
    report(rows)
    if arguments.out:
        write_result(arguments.out, {name: medians(found) for name, found in rows.items()})


def run_apart(pipeline: str, folder: str) -> dict[str, float]:
    """Run a pipeline in a process and an empty home of its own and return what it measured."""
    with tempfile.TemporaryDirectory() as home:
        ran = subprocess.run(
            [sys.executable, "-m", "benchmarks.ingest_speed", folder, "--pipeline", pipeline],
            env={**os.environ, "PROVENANT_HOME": home, "TOKENIZERS_PARALLELISM": "false"},
            capture_output=True,
            text=True,
            check=True,
        )
    measured: dict[str, float] = json.loads(ran.stdout.strip().split("\n")[-1])
    return measured


def medians(rows: list[dict[str, float]]) -> dict[str, float]:
    """Return the medians over rounds, and pages a second of them; what was not timed is left out."""
    found = {name: statistics.median(one[name] for one in rows) for name in rows[0]}
    found["pages_per_second"] = found["pages"] / found["seconds"]
    return {name: value for name, value in found.items() if value == value}  # noqa: PLR0124, NaN is not itself


def run_ours(folder: Path) -> dict[str, float]:
    from ingest.pipeline import IngestRequest
    from ui.installation import Installation

    installation = Installation()
    request = IngestRequest((folder,), "benchmark")
    started = time.monotonic()
    first = installation.ingest(request, lambda *_: None)
    seconds = time.monotonic() - started
    started = time.monotonic()
    again = installation.ingest(request, lambda *_: None)
    second = time.monotonic() - started
    assert again.counts["unchanged"] == len(first.documents)
    from ingest.versions import read_corpus

    with installation.store.session() as session:
        pages = sum(version.pages for versions in read_corpus(session, "benchmark").values() for version in versions)
    return {"pages": pages, "chunks": first.points, "seconds": seconds, "again_seconds": second}


def run_llama_index(folder: Path) -> dict[str, float]:
    import warnings

    warnings.simplefilter("ignore")
    from llama_index.core import SimpleDirectoryReader, StorageContext, VectorStoreIndex
    from llama_index.core.node_parser import SentenceSplitter
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding
    from llama_index.vector_stores.qdrant import QdrantVectorStore
    from qdrant_client import QdrantClient

    from governance.settings import load_settings

    settings = load_settings()
    client = QdrantClient(path=str(settings.home / "llama"))

    def ingest() -> tuple[int, int]:
        documents = SimpleDirectoryReader(str(folder), recursive=True).load_data()
        embedding = HuggingFaceEmbedding(str(settings.models / settings.ingest.embedder), embed_batch_size=32)
        store = QdrantVectorStore(client=client, collection_name="benchmark")
        nodes = SentenceSplitter(chunk_size=512).get_nodes_from_documents(documents)
        context = StorageContext.from_defaults(vector_store=store)
        VectorStoreIndex(nodes, storage_context=context, embed_model=embedding)
        return len(documents), len(nodes)

    started = time.monotonic()
    pages, nodes = ingest()
    seconds = time.monotonic() - started
    client.close()
    return {"pages": pages, "chunks": nodes, "seconds": seconds, "again_seconds": float("nan")}


def peak_megabytes() -> float:
    """Return the largest resident size of this process; `getrusage` would count its parent's before the start."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def report(rows: dict[str, list[dict[str, float]]]) -> None:
    from importlib.metadata import version

    names = ("llama-index-core", "sentence-transformers", "qdrant-client", "qdrant-edge-py", "onnxruntime", "torch")
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, ", end="")
    print(", ".join(f"{name} {version(name)}" for name in names))
    print("\n| pipeline | pages | chunks | seconds | pages/s | second run s | peak RSS MB |")
    print("|---|---|---|---|---|---|---|")
    for pipeline, found in rows.items():
        row = {name: statistics.median(one[name] for one in found) for name in found[0]}
        speed = row["pages"] / row["seconds"]
        print(
            f"| {pipeline} | {row['pages']:.0f} | {row['chunks']:.0f} | {row['seconds']:.1f} | {speed:.1f} "
            f"| {row['again_seconds']:.2f} | {row['peak_mb']:.0f} |"
        )


if __name__ == "__main__":
    main()
