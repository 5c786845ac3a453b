"""Embedding: the int8 encoder against its reference, vectors that depend on their text alone, exact offsets."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from governance.errors import BadInput
from governance.model_pull import LocalModel, register_folder
from governance.models import Manifest
from ingest.embed import Embedder, load_embedder
from ingest.embed_convert import convert_embedder, read_pooling, read_window

MINILM = "all-minilm-l6-v2"

SUBJECTS = (
    "The supplier",
    "Each employee who travels abroad",
    "A customer with an annual subscription",
    "The data protection officer",
    "Either party to this agreement",
    "The 500 ml stainless steel bottle",
    "Any claim under the warranty",
    "The landlord's insurance policy",
)
PREDICATES = (
    "may terminate the contract with ninety days' written notice.",
    "must report an incident within 24 hours of discovering it.",
    "is entitled to a full refund if the goods arrive damaged.",
    "shall keep all records for seven years after the end of the tax year.",
    "is not liable for loss of profit, except in cases of gross negligence.",
    "can be ordered in black, blue or brushed silver and is dishwasher safe.",
    "covers water damage up to 10,000 euros, storms and floods excluded.",
    "needs the approval of the finance department above a value of 2,500 dollars.",
)
SENTENCES = [f"{subject} {predicate}" for subject in SUBJECTS for predicate in PREDICATES]
LONG = " ".join(SENTENCES)


@pytest.fixture(scope="module")
def embedder(models_root: Path) -> Embedder:
    return load_embedder(models_root, MINILM)


@pytest.fixture(scope="module")
def reference(models_root: Path) -> Embedder:
    return load_embedder(models_root, MINILM, runtime="sentence-transformers")


@pytest.mark.models
def test_vectors_are_unit_float32_rows_in_the_order_of_the_texts(embedder: Embedder) -> None:
    vectors = embedder.embed(SENTENCES[:5])
    assert vectors.shape == (5, 384)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert embedder.embed([]).shape == (0, 384)
    assert (embedder.name, embedder.dimension, embedder.max_tokens) == (MINILM, 384, 254)


@pytest.mark.models
def test_vector_depends_on_its_text_alone(embedder: Embedder) -> None:
    together = embedder.embed([LONG, *SENTENCES[:8]])
    alone = np.concatenate([embedder.embed([text]) for text in [LONG, *SENTENCES[:8]]])
    assert np.array_equal(together, alone)


@pytest.mark.models
def test_loading_again_gives_equal_vectors_and_digest(embedder: Embedder, models_root: Path) -> None:
    again = load_embedder(models_root, MINILM)
    assert again.digest == embedder.digest
    assert np.array_equal(again.embed(SENTENCES[:4]), embedder.embed(SENTENCES[:4]))


@pytest.mark.models
def test_similar_sentences_are_nearer_than_others(embedder: Embedder) -> None:
    question, near, far = embedder.embed(
        ["How long is the notice period?", "The contract ends ninety days after notice.", "The bottle is blue."]
    )
    assert question @ near > question @ far + 0.2


@pytest.mark.models
@pytest.mark.parametrize("text", ["", "  \n\t", "\x00\x01", "\u200b"])
def test_text_without_a_word_is_refused_by_its_place(embedder: Embedder, text: str) -> None:
    with pytest.raises(BadInput, match="Text 2 of 3 has no word"):
        embedder.embed(["one", text, "three"])


@pytest.mark.models
def test_offsets_are_code_points_of_the_text_without_special_tokens(embedder: Embedder) -> None:
    text = "Größe: 12 cm 🎉 naïve Straße"
    words = [text[start:end] for start, end in embedder.token_offsets(text)]
    assert "".join(words).replace(" ", "") == text.replace(" ", "")
    assert embedder.count_tokens(text) == len(words)
    assert embedder.token_offsets("") == []


@pytest.mark.models
def test_offsets_of_a_long_text_reach_its_end(embedder: Embedder) -> None:
    offsets = embedder.token_offsets(LONG)
    assert len(offsets) == embedder.count_tokens(LONG) > 4 * embedder.max_tokens
    assert offsets[-1][1] == len(LONG)


@pytest.mark.models
def test_end_of_a_long_text_counts_too(embedder: Embedder) -> None:
    changed, same = embedder.embed([LONG + " " + "Polar bears swim in cold water. " * 20, LONG])
    assert changed @ same < 0.99


@pytest.mark.models
def test_loading_and_embedding_need_no_torch(models_root: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from ingest.embed import load_embedder; "
        f"load_embedder(Path(sys.argv[1]), {MINILM!r}).embed(['a']); "
        "print([name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(models_root)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.models
@pytest.mark.slow
def test_int8_is_as_near_to_the_reference_as_stated(embedder: Embedder, reference: Embedder) -> None:
    cosines = (embedder.embed(SENTENCES) * reference.embed(SENTENCES)).sum(axis=1)
    assert float(cosines.mean()) >= 0.99
    assert float(cosines.min()) >= 0.98


@pytest.mark.models
@pytest.mark.slow
def test_reference_reads_long_texts_whole_and_refuses_empty_ones(embedder: Embedder, reference: Embedder) -> None:
    assert (embedder.embed([LONG]) * reference.embed([LONG])).sum() >= 0.98
    assert reference.embed([]).shape == (0, 384)
    assert reference.token_offsets("one two") == embedder.token_offsets("one two")
    assert (reference.max_tokens, reference.dimension) == (embedder.max_tokens, embedder.dimension)
    with pytest.raises(BadInput, match="Text 1 of 1"):
        reference.embed([" "])


@pytest.mark.models
@pytest.mark.slow
def test_runtime_is_part_of_the_digest(embedder: Embedder, reference: Embedder) -> None:
    assert embedder.digest != reference.digest


def write_pooling(folder: Path, **modes: bool | str | int) -> Path:
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 8, **modes}))
    return folder


def test_pooling_is_read_in_both_of_its_forms(tmp_path: Path) -> None:
    assert read_pooling(tmp_path) == "mean"
    assert read_pooling(write_pooling(tmp_path / "a", pooling_mode_mean_tokens=True)) == "mean"
    assert read_pooling(write_pooling(tmp_path / "b", pooling_mode_cls_token=True)) == "cls"
    assert read_pooling(write_pooling(tmp_path / "c", pooling_mode="cls")) == "cls"


def test_pooling_that_the_embedder_does_not_do_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="pools by pooling_mode_max_tokens"):
        read_pooling(write_pooling(tmp_path / "max", pooling_mode_max_tokens=True))
    both = write_pooling(tmp_path / "both", pooling_mode_cls_token=True, pooling_mode_mean_tokens=True)
    with pytest.raises(BadInput, match="pools by cls, mean"):
        read_pooling(both)


def test_window_is_the_stated_one_or_that_of_the_encoder(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"max_position_embeddings": 8192}')
    assert read_window(tmp_path) == 512
    (tmp_path / "sentence_bert_config.json").write_text('{"max_seq_length": 256}')
    assert read_window(tmp_path) == 256


def tiny_encoder(folder: Path, pooling: str) -> Path:
    """A BERT of one layer with random weights and a vocabulary of letters."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{letter}" for letter in letters)]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    fast.save_pretrained(folder)
    torch.manual_seed(7)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=len(tokens), max_position_embeddings=64, **sizes)).save_pretrained(folder)
    write_pooling(
        folder, **{f"pooling_mode_{pooling}_token{'s' * (pooling == 'mean')}": True, "word_embedding_dimension": 32}
    )
    transformer = {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}
    pool = {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}
    (folder / "modules.json").write_text(json.dumps([transformer, pool]))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_local_encoder_is_converted_close_to_its_reference(tmp_path: Path, pooling: str) -> None:
    local = LocalModel("tiny-encoder", "embedder", tiny_encoder(tmp_path / "snapshot", pooling))
    manifest = register_folder(local, tmp_path / "models", convert=convert_embedder)
    assert manifest.conversion["pooling"] == pooling.split("_", maxsplit=1)[0]
    onnx = load_embedder(tmp_path / "models", "tiny-encoder")
    exact = load_embedder(tmp_path / "models", "tiny-encoder", runtime="sentence-transformers")
    texts = ["a short text", "zebra crossing", "one two three four"]
    assert ((onnx.embed(texts) * exact.embed(texts)).sum(axis=1) > 0.99).all()


@pytest.mark.slow
def test_conversion_gives_the_same_bytes_again(tmp_path: Path) -> None:
    def register(name: str) -> Manifest:
        folder = tmp_path / "snapshot"
        if not folder.is_dir():
            tiny_encoder(folder, "mean")
        return register_folder(LocalModel(name, "embedder", folder), tmp_path / "models", convert=convert_embedder)

    assert register("first").digest == register("second").digest
