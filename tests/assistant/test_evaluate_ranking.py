"""A BEIR folder is read, indexed by the real engine and measured; a folder at odds with itself is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from assistant.evaluate_ranking import Searcher, Using, measure_ranking, read_task, score_ranking, temporary_index
from governance.errors import BadInput
from governance.settings import RetrievalSettings
from tests.fakes import WordEmbedder

TEXTS = {
    "1": ("Hotels", "Hotel rooms cost at most 120 dollars a night."),
    "2": ("Receipts", "Receipts must be kept for six years."),
    "3": ("", "First-class air travel needs the approval of a supervisor."),
    "4": ("", ""),
}
QUERIES = {"q1": "price of hotel rooms", "q2": "how long receipts are kept", "q3": "never graded"}
QRELS = "query-id\tcorpus-id\tscore\nq1\t1\t2\nq1\t2\t0\nq2\t2\t1\nq2\t3\t1\n"


def write_folder(folder: Path, *, qrels: str = QRELS) -> Path:
    folder.mkdir(exist_ok=True)
    corpus = [{"_id": key, "title": title, "text": text} for key, (title, text) in TEXTS.items()]
    queries = [{"_id": key, "text": text} for key, text in QUERIES.items()]
    for name, rows in (("corpus.jsonl", corpus), ("queries.jsonl", queries)):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "qrels.tsv").write_text(qrels)
    return folder


def clock() -> float:
    return 0.0


@pytest.mark.parametrize("using", ["words", "embedding", "both"])
def test_a_folder_is_indexed_and_measured(tmp_path: Path, using: Using) -> None:
    task = read_task(write_folder(tmp_path))
    embedder = None if using == "words" else WordEmbedder()
    told: list[str] = []
    with temporary_index(task, embedder=embedder, tell=lambda _, doing: told.append(doing)) as index:
        assert index.count() == 3  # the text without a word is left out
        measured = measure_ranking(task, Searcher(index, embedder, RetrievalSettings(), using).rank, clock=clock)
    assert (measured["questions"], measured["documents"]) == (2, 4)
    assert measured["recall@1"] == 0.75
    assert measured["mrr@10"] == 1.0
    assert set(measured["intervals"]["ndcg@10"]) == {"low", "high"}
    assert [row["id"] for row in measured["details"]] == ["q1", "q2"]
    assert told[-1] == "indexing 3 texts"


def test_the_temporary_folder_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    task = read_task(write_folder(tmp_path / "beir"))
    with temporary_index(task, embedder=None, tell=lambda *_: None):
        assert list((tmp_path / "temporary").iterdir())
    assert not list((tmp_path / "temporary").iterdir())


def test_the_first_window_alone_is_embedded_where_that_is_asked_for(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, qrels="q1\t1\t1\n")
    long = {"_id": "1", "title": "", "text": f"{'word ' * 300} hotel rooms price"}
    (folder / "corpus.jsonl").write_text(json.dumps(long) + "\n" + json.dumps({"_id": "2", "text": "a price"}))
    task = read_task(folder)
    best = {}
    for first_window in (False, True):
        embedder = WordEmbedder()
        with temporary_index(task, embedder=embedder, tell=lambda *_: None, first_window=first_window) as index:
            best[first_window] = index.search_dense(embedder.embed(["hotel"])[0], conditions=(), limit=1)[0].score
    assert best[False] > best[True] == pytest.approx(0.0)


def test_a_search_by_embedding_needs_an_embedder(tmp_path: Path) -> None:
    task = read_task(write_folder(tmp_path))
    with temporary_index(task, embedder=None, tell=lambda *_: None) as index:
        searcher = Searcher(index, None, RetrievalSettings(), "both")
        with pytest.raises(BadInput, match="needs an embedder"):
            searcher.rank("hotel")


def test_scores_of_a_ranking_by_hand() -> None:
    scores = score_ranking(["x", "a", "y", "b"], {"a": 1.0, "b": 2.0, "c": 1.0})
    ideal = 2 + 1 / math.log2(3) + 1 / math.log2(4)
    assert scores["ndcg@10"] == pytest.approx((1 / math.log2(3) + 2 / math.log2(5)) / ideal)
    assert scores["recall@5"] == pytest.approx(2 / 3)
    assert scores["recall@1"] == 0.0
    assert scores["mrr@10"] == 0.5
    assert scores["map@100"] == pytest.approx((1 / 2 + 2 / 4) / 3)


def test_splits_are_files_of_the_qrels_folder(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "dev.tsv").write_text("q1\t1\t1\n")
    assert read_task(tmp_path, split="dev").relevant == {"q1": {"1": 1.0}}
    assert set(read_task(tmp_path).relevant) == {"q1", "q2"}
    with pytest.raises(BadInput, match=r"lacks qrels/train\.tsv"):
        read_task(tmp_path, split="train")


BROKEN_FOLDERS = [
    pytest.param({"qrels.tsv": "q\tc\ts\nq1\t9\t1\n"}, r"Line 2 of qrels.tsv names '9'", id="unknown text"),
    pytest.param({"qrels.tsv": "q9\t1\t1\n"}, r"names 'q9', which is not in queries.jsonl", id="unknown query"),
    pytest.param({"qrels.tsv": "q\tc\ts\nq1\t1\t0\n"}, "grades no text above 0", id="nothing relevant"),
    pytest.param({"qrels.tsv": ""}, "grades no text above 0", id="empty qrels"),
    pytest.param({"qrels.tsv": "q\tc\ts\nq1 0 1 1\n"}, "Line 2 of qrels.tsv is not query id", id="no tabs"),
    pytest.param({"qrels.tsv": None}, r"lacks qrels\.tsv or qrels/test\.tsv", id="no qrels"),
    pytest.param({"queries.jsonl": None}, "lacks queries.jsonl", id="no queries"),
    pytest.param({"corpus.jsonl": "{}\n"}, "Line 1 of corpus.jsonl cannot be read", id="no text"),
    pytest.param({"corpus.jsonl": "x\n"}, "Line 1 of corpus.jsonl cannot be read", id="no JSON"),
]


@pytest.mark.parametrize(("files", "sentence"), BROKEN_FOLDERS)
def test_folders_at_odds_with_themselves_are_refused(
    tmp_path: Path, files: dict[str, str | None], sentence: str
) -> None:
    write_folder(tmp_path)
    for name, text in files.items():
        if text is None:
            (tmp_path / name).unlink()
        else:
            (tmp_path / name).write_text(text)
    with pytest.raises(BadInput, match=sentence):
        read_task(tmp_path)


def test_a_plain_folder_is_no_task(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"lacks corpus\.jsonl"):
        read_task(tmp_path)
