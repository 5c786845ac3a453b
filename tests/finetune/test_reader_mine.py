"""A reader's own mistakes become near misses; what answers, or touches an answer, never does."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from finetune.reader_batches import Encoder, make_batch
from finetune.reader_check import check_documents
from finetune.reader_groups import ANSWERS, ANSWERS_NOT, UNKNOWN, Candidate, Group, Passage, read_groups
from finetune.reader_manifest import Files
from finetune.reader_mine import mined, to_mine
from finetune.reader_model import new_reader
from finetune.reader_scores import score_documents
from finetune.reader_train import Recipe, make_adapter

WHOLE = tuple(Passage("Terms", f"Clause {number}.", "a contract") for number in range(12))


def group(touched: tuple[int, ...] | None = (3, 4)) -> Group:
    candidates = (
        Candidate(WHOLE[3], ANSWERS, ((0, 6),)),
        *(Candidate(WHOLE[number], ANSWERS_NOT) for number in (0, 1, 2)),
        Candidate(Passage("Terms", "Of another.", "another contract"), UNKNOWN),
    )
    return Group("What are the terms?", "cuad", "a contract", "train", candidates, touched)


def scores() -> np.ndarray:
    """The later a clause, the more it looks like an answer; the earlier, the more relevant."""
    return np.asarray([[-number, number] for number in range(12)], dtype=np.float32)


def test_hardest_passages_become_near_misses() -> None:
    found = mined(group(), scores(), {"a contract": WHOLE})
    wrong = [one.passage for one in found.candidates if one.label == ANSWERS_NOT]
    assert wrong[:4] == [WHOLE[11], WHOLE[10], WHOLE[9], WHOLE[8]]
    assert wrong[4:6] == [WHOLE[0], WHOLE[1]]
    assert wrong[6:] == [WHOLE[2]]


def test_what_touches_an_answer_is_never_a_near_miss_and_the_rest_stays() -> None:
    found = mined(group(touched=(3, 4, 11)), scores(), {"a contract": WHOLE})
    wrong = {one.passage for one in found.candidates if one.label == ANSWERS_NOT}
    assert not wrong & {WHOLE[3], WHOLE[4], WHOLE[11]}
    assert [one for one in found.candidates if one.label != ANSWERS_NOT] == [
        one for one in group().candidates if one.label != ANSWERS_NOT
    ]


def test_documents_that_nobody_marked_throughout_are_left_alone() -> None:
    assert to_mine([group(touched=None), group()]) == [1]


def test_whole_documents_are_scored_as_single_passages_are(tiny_base: Path, tiny_data: Path) -> None:
    import torch

    data = read_groups(tiny_data)
    encoder = Encoder(tiny_base / "tokenizer.json")
    reader = new_reader(tiny_base, rank=4).eval()
    for one, found in score_documents(reader, data.groups, data.documents, encoder):
        batch = make_batch([one], encoder, pick=lambda spans: spans[0])
        with torch.no_grad():
            alone, _ = reader(batch.ids, batch.types, batch.mask)
        assert torch.allclose(torch.from_numpy(found), alone, atol=1e-5)  # padded otherwise


def test_mining_run_states_its_miner_and_how_documents_are_told_apart(
    tiny_base: Path, tiny_data: Path, tmp_path: Path
) -> None:
    recipe = Recipe(mined_share=1.0, steps=4, rank=4, warmup_steps=1, groups_per_step=4)
    first = Files(tiny_data, tiny_base, tmp_path / "first.safetensors")
    make_adapter(first, recipe=recipe, say=lambda line: None)
    second = Files(tiny_data, tiny_base, tmp_path / "second.safetensors", miner=first.adapter)
    said: list[str] = []
    stated = make_adapter(second, recipe=recipe, say=said.append).read_text()
    assert "near misses mined" in said
    assert '"mined_with": "sha256:' in stated
    assert '"documents"' in stated
    data = read_groups(tiny_data)
    figures = check_documents(
        new_reader(tiny_base, rank=4), data.groups, data.documents, Encoder(tiny_base / "tokenizer.json")
    )
    assert figures == {"groups": 20, "auroc": None}  # every one of these documents answers
