"""One frozen tree of settings, read once at the rim and handed down as an argument.

Sources, strongest first: environment variables (`PROVENANT_` and `__` between levels, as in
`PROVENANT_INDEX__URL`), then `provenant.toml` in the home folder. Unknown keys are errors. Secrets come only from
the environment. No default reaches a hosted service.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from governance.digests import digest_value
from governance.errors import BadInput


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StoreSettings(_Section):
    """Where records are kept."""

    url: str = Field("", description="SQLAlchemy URL; empty means SQLite in the home folder.")


_SERVER_ONLY = (
    "shards",
    "replicas",
    "write_consistency",
    "vectors_on_disk",
    "payload_on_disk",
    "search",
    "quantization",
)


class IndexSettings(_Section):
    """The vector index."""

    url: str = Field("", description="URL of a Qdrant server or cluster; empty means the embedded engine.")
    api_key: SecretStr = Field(SecretStr(""), description="Key for the Qdrant server (environment only).")
    timeout_seconds: int = Field(60, ge=1, description="How long the server may take for one call.")
    retries: int = Field(4, ge=0, description="How often a call to the server that was lost is tried again.")
    upload_points: int = Field(256, ge=1, le=10_000, description="Chunks sent to the server at once.")
    shards: int = Field(1, ge=1, description="Shards of an index on the server: the nodes that share its chunks.")
    replicas: int = Field(1, ge=1, description="Copies of each shard on the server.")
    write_consistency: int = Field(0, ge=0, description="Copies that must confirm a write; 0 means all of them.")
    vectors_on_disk: bool = Field(False, description="Leave vectors on the server's disk: less memory, slower.")
    payload_on_disk: bool = Field(True, description="Leave the texts on the server's disk.")
    search: Literal["exact", "graph"] = Field(
        "exact", description="Compare with every vector on the server, or follow a graph: quicker, and misses some."
    )
    quantization: Literal["none", "scalar"] = Field(
        "none", description="Vectors on the server as they are, or int8 beside them for the graph: 4 times less memory."
    )
    oversampling: float = Field(
        2.0, ge=1, le=10, description="Times as many int8 candidates are scored again by their whole vectors."
    )
    keep_generations: int = Field(3, ge=1, description="Index generations kept for each collection.")
    wait_seconds: float = Field(30.0, ge=0, description="How long a command waits for another that holds the index.")
    golden_margin: float = Field(
        0.05, ge=0, le=1, description="Share of the golden questions that may lose their place in a new index."
    )
    golden_questions: int = Field(
        100, ge=0, description="Golden questions asked of a new index, the first of the set; 0 asks none."
    )

    @model_validator(mode="after")
    def refuse_what_cannot_be(self) -> Self:
        """Raise ValueError for settings that contradict each other, or that the embedded engine does not have."""
        asked = sorted(name for name in _SERVER_ONLY if getattr(self, name) != type(self).model_fields[name].default)
        if asked and not self.url:
            raise ValueError(f"{', '.join(asked)} needs a Qdrant server; set PROVENANT_INDEX__URL or leave it out")
        if self.write_consistency > self.replicas:
            raise ValueError(
                f"write_consistency asks {self.write_consistency} copies to confirm and there are {self.replicas}; "
                "raise replicas or lower write_consistency"
            )
        if self.quantization != "none" and self.search != "graph":
            raise ValueError("quantization serves the graph alone; set search to graph, or quantization to none")
        return self


class IngestSettings(_Section):
    """Reading, chunking and embedding."""

    embedder: str = Field("all-minilm-l6-v2", description="Name of the embedder in the model catalogue.")
    chunk_tokens: int = Field(224, ge=32, le=8192, description="Largest chunk in tokens, name and heading included.")
    max_file_megabytes: int = Field(100, ge=1, description="Larger files are refused, with their size.")
    ocr: Literal["auto", "never"] = Field(
        "auto",
        description="Text recognition (OCR) of pages without usable text: auto where Tesseract is installed, or never.",
    )
    parser_megabytes: int = Field(
        1024, ge=256, description="Memory of the process that reads files; a file that needs more is refused."
    )
    parser_seconds: int = Field(300, ge=1, description="Time to read one file; one that takes longer is refused.")


class SourcesSettings(_Section):
    """Folders that are ingested again and again, and uploads."""

    watch_seconds: float = Field(5.0, gt=0, description="How often the worker looks at stored sources.")
    settle_seconds: float = Field(
        3.0, ge=0, description="How long a folder must stay as it is before it is read: files may still be arriving."
    )
    upload_megabytes: int = Field(10_000, ge=1, description="Room for all uploaded files together.")


Fusion = Literal["distribution", "both", "rank"]


class RetrievalSettings(_Section):
    """Searching."""

    candidates: int = Field(100, ge=1, le=1000, description="Passages taken from each of dense and sparse search.")
    top_k: int = Field(8, ge=1, le=200, description="Passages returned.")
    fusion: Literal["auto", "distribution", "both", "rank"] = Field(
        "auto", description="How the searches are fused; auto is distribution where there is a catalogue, else both."
    )
    reader: str = Field("minilm-reader", description="What reads passages with the question; empty means nothing.")
    read: int = Field(32, ge=1, le=200, description="Passages that are read together with the question.")


class AnswerSettings(_Section):
    """Prompting, generating and checking."""

    model: str = Field("smollm2-135m-instruct", description="Name of the base model in the model catalogue.")
    adapter: str = Field(
        "", description="Folder of the adapter to serve; `packaged` is the one that is shipped; empty means none."
    )
    adapter_may_refuse: bool = Field(
        True, description="Whether an adapted model that says it is not in the documents is believed."
    )
    context_tokens: int = Field(400, ge=64, description="Token budget for the passages in the prompt.")
    max_new_tokens: int = Field(64, ge=1, le=4096, description="Longest answer in tokens.")
    max_question_characters: int = Field(4000, ge=1, description="Longer questions are refused.")


Disclosure = Literal["allow", "mask", "refuse"]


class DisclosureSettings(_Section):
    """What happens to secrets and personal data in an answer. Contact data is shown: support agents need it."""

    secret: Disclosure = Field("mask", description="Keys, tokens and passwords.")
    card: Disclosure = Field("mask", description="Payment card numbers.")
    national_id: Disclosure = Field("mask", description="Numbers like a US social security number.")
    iban: Disclosure = Field("allow", description="International bank account numbers.")
    email: Disclosure = Field("allow", description="E-mail addresses.")
    phone: Disclosure = Field("allow", description="Telephone numbers.")


class ServerSettings(_Section):
    """The web process."""

    host: str = Field("127.0.0.1", description="Address to listen on; anything but loopback needs a token.")
    port: int = Field(7860, ge=0, le=65535, description="Port to listen on.")
    token: SecretStr = Field(SecretStr(""), description="Token asked of every caller (environment only).")


class JudgeSettings(_Section):
    """A model that judges answers for `evaluate answers --judge`; it never answers."""

    url: str = Field("", description="OpenAI-compatible address of a judge model; none is asked where it is empty.")
    model: str = Field("", description="Name of the judge model at that address.")
    token: SecretStr = Field(SecretStr(""), description="Token for that address (environment only).")


class Settings(BaseSettings):
    """Everything an installation can set."""

    model_config = SettingsConfigDict(
        env_prefix="PROVENANT_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        nested_model_default_partial_update=True,
    )

    home: Path = Field(Path("~/.local/share/provenant"), description="Folder of state: records, documents, indexes.")
    models: Path = Field(Path("~/.cache/provenant/models"), description="Folder of models.")
    store: StoreSettings = StoreSettings()
    index: IndexSettings = IndexSettings()
    ingest: IngestSettings = IngestSettings()
    sources: SourcesSettings = SourcesSettings()
    retrieval: RetrievalSettings = RetrievalSettings()
    answer: AnswerSettings = AnswerSettings()
    disclosure: DisclosureSettings = DisclosureSettings()
    server: ServerSettings = ServerSettings()
    judge: JudgeSettings = JudgeSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: arguments, environment, then the file in the home folder."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=_settings_file())

    def digest(self) -> str:
        """Return the Digest of all settings that can change an answer; paths and secrets are left out."""
        kept = self.model_dump(mode="json", include={"ingest", "retrieval", "answer", "disclosure"})
        kept["answer"].pop("adapter")  # a path; a release names the adapter itself by digest
        if self.index.search != "exact":  # exact searches find the same wherever the index is
            kept["index"] = self.index.model_dump(mode="json", include={"search", "quantization", "oversampling"})
        return digest_value(kept)


def load_settings() -> Settings:
    """Read the settings and make the folder paths absolute. Raises BadInput naming each wrong key."""
    _refuse_written_secrets(_settings_file())
    try:
        settings = Settings()
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise BadInput(f"The settings have an error ({wrong}). Correct provenant.toml or the environment.") from error
    return settings.model_copy(
        update={"home": settings.home.expanduser().absolute(), "models": settings.models.expanduser().absolute()}
    )


def _settings_file() -> Path:
    return Path(os.environ.get("PROVENANT_HOME", "~/.local/share/provenant")).expanduser() / "provenant.toml"


def _refuse_written_secrets(path: Path) -> None:
    try:
        value = tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not valid TOML ({error}).") from error
    for section, key in (("server", "token"), ("index", "api_key"), ("judge", "token")):
        if key in value.get(section, {}):
            raise BadInput(
                f"{path} holds the secret {section}.{key}; give it in PROVENANT_{section.upper()}__{key.upper()}."
            )


def describe_settings() -> str:
    """Return all settings as a Markdown table: `docs/settings.md` is this text, kept equal by a test."""
    lines = ["# Settings", "", "| environment variable | default | what it does |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, _Section):
            for key, inner in section.model_fields.items():
                lines.append(_row(f"PROVENANT_{name}__{key}", inner.default, inner.description))
        else:
            lines.append(_row(f"PROVENANT_{name}", field.default, field.description))
    return "\n".join(lines) + "\n"


def _row(name: str, default: object, description: str | None) -> str:
    shown = default.get_secret_value() if isinstance(default, SecretStr) else default
    return f"| `{name.upper()}` | {f'`{shown}`' if shown not in ('', None) else '-'} | {description} |"
