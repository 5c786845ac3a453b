"""The LlamaIndex door: its readers where ours end, its node types as interchange.

In:  `parse_with_llama` reads formats that ours do not (RTF) with LlamaIndex's file readers; `save_documents`
     takes what any LlamaIndex reader loaded (Confluence, SharePoint, S3 ...) and lays it down as a folder, which is
     then ingested like any other, deletions included.
Out: `to_nodes` gives Chunks as TextNodes, with their offsets, so that other LlamaIndex components can use them.

LlamaIndex's global `Settings` is never touched, and nothing is imported before a file asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from governance.digests import digest_text, short
from governance.errors import BadInput
from ingest.chunks import Chunk
from ingest.documents import ParsedDocument
from ingest.parse.text import structure_text

if TYPE_CHECKING:
    from llama_index.core.schema import Document, TextNode

_MEDIA_TYPES = {".rtf": "application/rtf"}
LLAMA_ENDINGS = frozenset(_MEDIA_TYPES)


def parse_with_llama(path: Path) -> ParsedDocument:
    """Read a file with LlamaIndex's reader for its ending. Raises BadInput where that fails."""
    try:
        documents = _reader().load_data(path)
    except MemoryError:
        raise
    except ImportError as error:
        raise BadInput(
            f"Reading {path.suffix} files needs the extra `readers`: pip install 'provenant[readers]'."
        ) from error
    except Exception as error:
        raise BadInput(f"{path.name} is not a readable {path.suffix} file ({type(error).__name__}).") from error
    text = "\n\n".join(document.text for document in documents if document.text.strip())
    if not text.strip():
        raise BadInput(f"{path.name} holds no text.")
    return structure_text(text, name=path.stem, media_type=_MEDIA_TYPES[path.suffix.lower()])


def save_documents(documents: Iterable[Document], folder: Path) -> list[Path]:
    """Write LlamaIndex Documents as text files named after their source, and return the files.

    Two documents of one source get the source's name with a number; the name depends on nothing else, so a reader
    that is run again overwrites its files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for document in documents:
        stem = _file_stem(document)
        same = sum(1 for path in written if path.stem == stem or path.stem.startswith(f"{stem}-part"))
        path = folder / (f"{stem}.txt" if not same else f"{stem}-part{same + 1}.txt")
        path.write_text(document.text, encoding="utf-8")
        written.append(path)
    return written


def to_nodes(chunks: Sequence[Chunk]) -> list[TextNode]:
    """Return Chunks as LlamaIndex nodes: same id, offsets, text; the names as metadata and source relationship."""
    from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode

    return [
        TextNode(
            id_=chunk.id,
            text=chunk.text,
            start_char_idx=chunk.start,
            end_char_idx=chunk.end,
            metadata={
                "document": chunk.document,
                "version": chunk.version,
                "title": chunk.title,
                "clause": chunk.clause,
                "path": list(chunk.path),
                "page": chunk.page,
            },
            relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=f"{chunk.document}@{chunk.version}")},
        )
        for chunk in chunks
    ]


def _reader() -> Any:
    from llama_index.readers.file import RTFReader

    return RTFReader()


def _file_stem(document: Document) -> str:
    named = document.metadata.get("file_name") or document.metadata.get("title") or document.metadata.get("url")
    stem = (
        re.sub(r"[^\w.-]+", "-", str(named)).strip("-.") if named else f"document-{short(digest_text(document.text))}"
    )
    return stem.removesuffix(".txt")[:120]
