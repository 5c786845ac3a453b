"""A plain LlamaIndex query engine on the same data, measured by the same code as ours.

    python -m benchmarks.peer_llamaindex golden samples/questions.jsonl --corpus samples/corpus --kept FOLDER
    python -m benchmarks.peer_llamaindex contracts QUESTIONS.jsonl --corpus FOLDER --kept FOLDER --split test
    python -m benchmarks.peer_llamaindex scifact FOLDER --kept FOLDER

The peer is what its starter tutorial builds: SimpleDirectoryReader, SentenceSplitter with its defaults (1,024 tokens,
200 overlapping), VectorStoreIndex, `as_query_engine` with the two nearest chunks and the default prompts; the embedder
is ours (the same MiniLM in int8), the model is ours (the same SmolLM2), decoded as ours is. `--hybrid` fuses with its
BM25 retriever by reciprocal ranks, where `llama-index-retrievers-bm25` is installed. Rows of retrieval ask the same
index for more chunks. A catalogue's record counts as found where a chunk holds both its number and the line that
answers. An answer counts as a refusal where it is empty or says by one of `REFUSALS` that the context does not answer.
Indexes are kept below --kept and used again.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.evaluate import measure_answers, measure_retrieval, read_questions
from assistant.evaluate_ranking import measure_ranking, read_task
from assistant.golden import GoldenQuestion
from assistant.metrics import letters
from benchmarks.measured import figure, figures_of_evaluation, versions, write_result
from governance.settings import Settings, load_settings
from ingest.embed import Embedder

Ask = Callable[[str], dict[str, Any]]
DEEP, SHALLOW, RANKED = 64, 2, 100
CATALOGUES = {".csv"}
REFUSALS = re.compile(
    r"empty response|(?:does|do|did) not (?:mention|provide|contain|specify|state|say|include|give|answer)"
    r"|(?:is|are|was) not (?:mentioned|provided|specified|stated|included|available|clear|given)|no information"
    r"|not enough information|cannot (?:answer|determine|be determined)|(?:don't|do not) (?:know|have)|unable to",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Peer:
    """An index of LlamaIndex with what its chunks are called in the golden questions."""

    index: Any
    documents: dict[str, Any]  # by id
    root: Path

    def retriever(self, top_k: int, *, hybrid: bool) -> Any:
        dense = self.index.as_retriever(similarity_top_k=top_k)
        if not hybrid:
            return dense
        from llama_index.core.llms import MockLLM
        from llama_index.core.retrievers import QueryFusionRetriever
        from llama_index.retrievers.bm25 import BM25Retriever

        by_words = BM25Retriever.from_defaults(docstore=self.index.docstore, similarity_top_k=top_k)
        shape = {"similarity_top_k": top_k, "num_queries": 1, "mode": "reciprocal_rerank", "use_async": False}
        return QueryFusionRetriever([dense, by_words], llm=MockLLM(), **shape)

    def place(self, node: Any, question: GoldenQuestion | None) -> dict[str, Any]:
        """Return a chunk as a passage or citation in JSON, as ours are."""
        document = self.documents[node.ref_doc_id]
        name = Path(document.metadata["file_path"]).relative_to(self.root).as_posix()
        text = node.get_content()
        start = node.start_char_idx
        return {
            "document": name,
            "version": document.id_,
            "page": document.metadata.get("page_number"),
            "clause": record_in(text, question) if question and Path(name).suffix in CATALOGUES else "",
            "kind": "record" if Path(name).suffix in CATALOGUES else "clause",
            "char_start": 0 if start is None else start,
            "char_end": 0 if start is None else start + len(text),
            "text": text,
            "quote": text,
        }

    def read_span(self, _document: str, version: str, start: int, end: int) -> str:
        return str(self.documents[version].text[start:end])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("golden", "contracts", "scifact"))
    parser.add_argument("data", type=Path, help="JSONL of questions, or a BEIR folder")
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--kept", type=Path, required=True)
    parser.add_argument("--split", default="")
    parser.add_argument("--hybrid", action="store_true")
    parser.add_argument("--answers", type=Path, help="let the model answer as well; answers are kept in this file")
    parser.add_argument("--every", type=int, default=1, help="answers: take one question in so many")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    settings = load_settings()
    run = rank_scifact if arguments.part == "scifact" else ask_questions
    evaluated, chunks = run(arguments, settings)
    figures = {**figures_of_evaluation(evaluated), "chunks": figure(chunks)}
    for name, value in figures.items():
        print(f"{name:32} {value}")
    if arguments.out:
        packages = versions(("llama-index-core", "llama-index-retrievers-bm25", "sentence-transformers", "torch"))
        write_result(arguments.out, figures, peer_versions=packages)


def ask_questions(arguments: argparse.Namespace, settings: Settings) -> tuple[dict[str, Any], int]:
    peer = open_peer(read_folder(arguments.corpus), arguments.corpus, arguments.kept, settings)
    questions = read_questions(arguments.data, split=arguments.split)
    by_text = {question.question: question for question in questions}
    retriever = peer.retriever(DEEP, hybrid=arguments.hybrid)

    def search(text: str) -> list[dict[str, Any]]:
        return [peer.place(found.node, by_text[text]) for found in retriever.retrieve(text)]

    evaluated = measure_retrieval(questions, search)
    evaluated = {**evaluated, **characters_read(questions, search)}
    if arguments.answers:
        ask = kept_in(arguments.answers, lambda: answerer(peer, by_text, settings, hybrid=arguments.hybrid))
        answered = measure_answers(questions[:: arguments.every], ask, peer.read_span)
        evaluated |= answered | {name: evaluated[name] | answered[name] for name in ("counts", "intervals")}
    return evaluated, len(peer.index.docstore.docs)


def characters_read(
    questions: Sequence[GoldenQuestion], search: Callable[[str], list[dict[str, Any]]]
) -> dict[str, float]:
    """Return the mean number of characters among the first k passages, of some questions."""
    totals = [[len(one["text"]) for one in search(question.question)] for question in questions[:20]]
    return {f"characters@{k}": sum(sum(row[:k]) for row in totals) / len(totals) for k in (1, 8, 64)}


def kept_in(path: Path, open_answerer: Callable[[], Ask]) -> Ask:
    """Return what asks each question once and keeps its answer, since decoding is greedy; opened when first needed."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    known: dict[str, dict[str, Any]] = {value["question"]: value for value in map(json.loads, lines)}
    opened: list[Ask] = []

    def ask(text: str) -> dict[str, Any]:
        if text not in known:
            opened.extend([] if opened else [open_answerer()])
            known[text] = opened[0](text) | {"question": text}
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(known[text], ensure_ascii=False) + "\n")
        return known[text]

    return ask


def answerer(peer: Peer, by_text: dict[str, GoldenQuestion], settings: Settings, *, hybrid: bool) -> Ask:
    """Return what asks the default query engine and tells what it said as ours is told."""
    from llama_index.core.query_engine import RetrieverQueryEngine

    engine = RetrieverQueryEngine.from_args(peer.retriever(SHALLOW, hybrid=hybrid), llm=language_model(settings))

    def ask(text: str) -> dict[str, Any]:
        started = time.monotonic()
        response = engine.query(text)
        seconds = time.monotonic() - started
        said = str(response).strip()
        return {
            "answer": said,
            "abstained": not said or bool(REFUSALS.search(said)),
            "citations": [peer.place(found.node, by_text[text]) for found in response.source_nodes],
            "timings_ms": {"total": 1000 * seconds},
        }

    return ask


def rank_scifact(arguments: argparse.Namespace, settings: Settings) -> tuple[dict[str, Any], int]:
    task = read_task(arguments.data)
    documents = [text_document(key, f"{title}\n{text}".strip()) for key, (title, text) in task.texts.items()]
    peer = open_peer(documents, Path("/"), arguments.kept, settings)
    retriever = peer.retriever(RANKED, hybrid=arguments.hybrid)

    def rank(query: str) -> list[str]:
        return list(dict.fromkeys(found.node.ref_doc_id for found in retriever.retrieve(query)))

    return measure_ranking(task, rank, clock=time.monotonic), len(peer.index.docstore.docs)


def text_document(key: str, text: str) -> Any:
    from llama_index.core import Document

    return Document(text=text, id_=key)


def read_folder(folder: Path) -> Sequence[Any]:
    """Read a folder as the peer does, number the pages of each file in the order that they come."""
    from llama_index.core import SimpleDirectoryReader

    documents: list[Any] = SimpleDirectoryReader(str(folder), recursive=True, filename_as_id=True).load_data()
    pages: dict[str, int] = {}
    for document in documents:
        document.id_ = document.id_.removeprefix(f"{folder.absolute()}/")  # the same wherever the folder stands
        path = document.metadata["file_path"]
        pages[path] = pages.get(path, 0) + 1
        if path.endswith(".pdf"):
            document.metadata["page_number"] = pages[path]
            document.excluded_embed_metadata_keys.append("page_number")
            document.excluded_llm_metadata_keys.append("page_number")
    return documents


def open_peer(documents: Sequence[Any], root: Path, kept: Path, settings: Settings) -> Peer:
    """Build the index, or load it where it was built from the same documents before."""
    from llama_index.core import StorageContext, VectorStoreIndex, load_index_from_storage
    from llama_index.core.node_parser import SentenceSplitter

    embedder = embedding_model(settings)
    if (kept / "docstore.json").is_file():
        index = load_index_from_storage(StorageContext.from_defaults(persist_dir=str(kept)), embed_model=embedder)
    else:
        splitter = SentenceSplitter()
        index = VectorStoreIndex.from_documents(documents, embed_model=embedder, transformations=[splitter])
        index.storage_context.persist(str(kept))
    return Peer(index, {document.id_: document for document in documents}, root.absolute())


def embedding_model(settings: Settings) -> Any:
    """Return our embedder as an embedding of LlamaIndex; a long text is cut at 256 tokens, as its own wrapper cuts."""
    from llama_index.core.embeddings import BaseEmbedding

    from assistant.local_models import LocalModels

    embedder = LocalModels(settings).embedder

    class LocalEmbedding(BaseEmbedding):  # type: ignore[misc]
        def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
            return [[float(x) for x in row] for row in embedder.embed([first_window(one, embedder) for one in texts])]

        def _get_text_embedding(self, text: str) -> list[float]:
            return self._get_text_embeddings([text])[0]

        def _get_query_embedding(self, query: str) -> list[float]:
            return self._get_text_embedding(query)

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return self._get_text_embedding(query)

    return LocalEmbedding(embed_batch_size=64)


def first_window(text: str, embedder: Embedder) -> str:
    offsets = embedder.token_offsets(text)
    return text if len(offsets) <= embedder.max_tokens else text[: offsets[embedder.max_tokens - 1][1]]


def record_in(text: str, question: GoldenQuestion) -> str:
    """Return the record of a question's evidence that a chunk of a catalogue holds, with the line that answers."""
    for piece in question.evidence:
        rows = (row for row in text.split("\n") if row.startswith(f"{piece.get('clause')}, "))
        if any(letters(str(piece.get("quote", ""))) in letters(row) for row in rows):
            return str(piece["clause"])
    return ""


def language_model(settings: Settings) -> Any:
    """Return our local model as a model of LlamaIndex, asked through its chat template."""
    from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata

    from assistant.generation import Decoding, Message
    from assistant.local_models import LocalModels

    engine = LocalModels(settings).engine
    most = settings.answer.max_new_tokens

    class LocalModel(CustomLLM):  # type: ignore[misc]
        @property
        def metadata(self) -> Any:
            return LLMMetadata(context_window=8192, num_output=most, is_chat_model=True, model_name="smollm2")

        def complete(self, prompt: str, formatted: bool = False, **_: Any) -> Any:  # noqa: ARG002
            return CompletionResponse(text=engine.stream(prompt, decoding=Decoding(most)).finish().text)

        def stream_complete(self, prompt: str, formatted: bool = False, **_: Any) -> Iterator[Any]:
            yield self.complete(prompt, formatted)

    def render(messages: Sequence[Any]) -> str:
        return engine.render([Message(one.role.value, str(one.content)) for one in messages])

    return LocalModel(messages_to_prompt=render)


if __name__ == "__main__":
    main()
