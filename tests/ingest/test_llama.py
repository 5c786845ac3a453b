"""The LlamaIndex door: its readers in, its nodes out, its global settings untouched."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from governance.errors import BadInput
from ingest.chunks import ChunkSource, cut_chunks
from ingest.llama import save_documents, to_nodes
from ingest.parse import parse_file
from tests.fakes import WordEmbedder


def test_rtf_files_come_through_the_door(tmp_path: Path) -> None:
    path = tmp_path / "rules.rtf"
    path.write_text(r"{\rtf1\ansi Parking costs {\b nine} dollars.}")
    assert "Parking costs nine dollars." in parse_file(path).text


def test_what_the_reader_cannot_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.rtf"
    path.write_text(r"{\rtf1\ansi }")
    with pytest.raises(BadInput, match=r"empty\.rtf holds no text"):
        parse_file(path)


def test_documents_of_any_reader_become_a_folder(tmp_path: Path) -> None:
    from llama_index.core.schema import Document

    documents = [
        Document(text="One", metadata={"file_name": "wiki/Home page.txt"}),
        Document(text="Two", metadata={"file_name": "wiki/Home page.txt"}),
        Document(text="Three", metadata={}),
    ]
    written = save_documents(documents, tmp_path / "wiki")
    assert [path.name for path in written[:2]] == ["wiki-Home-page.txt", "wiki-Home-page-part2.txt"]
    assert [path.read_text() for path in written] == ["One", "Two", "Three"]
    assert save_documents(documents, tmp_path / "wiki") == written


def test_chunks_become_nodes_with_their_places(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("# Travel\n\nHotel rooms cost at most 120 dollars.\n")
    chunks = cut_chunks(parse_file(path), ChunkSource("a.md", "v", "p"), tokens=WordEmbedder(), budget=60)
    node = to_nodes(chunks)[0]
    assert (node.node_id, node.text) == (chunks[0].id, chunks[0].text)
    assert (node.start_char_idx, node.end_char_idx) == (chunks[0].start, chunks[0].end)
    assert node.metadata["document"] == "a.md"


def test_other_files_never_import_llama_index() -> None:
    code = (
        "import sys, ui.installation, ingest.parse\n"
        "assert not any(name.startswith('llama_index') for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
