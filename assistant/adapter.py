"""An adapter as it is served: a PEFT folder with a manifest, read, checked against its base, and its numbers.

The folder holds `adapter_model.safetensors` and `adapter_config.json` as PEFT reads them, and `manifest.json`, which
names the base, the tokenizer, the template, the prompt and every file by Digest (`finetune.adapters` writes it). It
knows files and digests and refuses to know models. Rules: PEFT itself would load an adapter onto any base of equal
sizes and answer wrongly without a word, so what does not belong together is refused by name; a file that the manifest
does not name makes the adapter Damaged; an adapter's Digest is that of its files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from assistant.model_convert import BASE_FOLDER
from assistant.prompt import PROMPT_DIGEST
from governance.digests import digest_file, digest_value
from governance.errors import BadInput, Damaged, NotFound
from governance.models import Manifest

if TYPE_CHECKING:
    from torch import Tensor

MANIFEST, WEIGHTS, CONFIG = "manifest.json", "adapter_model.safetensors", "adapter_config.json"
DOCUMENTS = "documents.json"  # Digests of the document versions that it was fitted on
FORMAT = 1
PACKAGED = "packaged"  # the name of the adapter that is shipped
PACKAGED_FOLDER = Path(__file__).parent / "weights" / "adapter"
_NAME = re.compile(r"base_model\.model\.model\.layers\.(\d+)\.(\w+\.\w+)\.lora_([AB])\.weight")
_NOT_PLAIN = ("use_dora", "rank_pattern", "alpha_pattern", "modules_to_save", "fan_in_fan_out")


@dataclass(frozen=True)
class AdapterManifest:
    """What an adapter is. `quantization` is that of the weights it was fitted on; `files` are Digests by name."""

    base: str  # name of the base
    base_digest: str
    quantization: str
    prompt_digest: str
    tokenizer_digest: str
    template_digest: str
    recipe: Mapping[str, Any]
    recipe_digest: str
    data_digest: str
    environment: Mapping[str, str]
    metrics: Mapping[str, Any]
    files: Mapping[str, str]

    @property
    def digest(self) -> str:
        """The Digest of the adapter: of its files by name."""
        return digest_value(dict(self.files))

    def to_json(self) -> str:
        """Return the stored form."""
        value = {"format": FORMAT, "digest": self.digest, **self.__dict__}
        return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


@dataclass(frozen=True)
class LowRank:
    """What an adapter adds to one projection: up (low x). The scaling is in `up`; both are float32."""

    low: NDArray[np.float32]  # (rank, columns)
    up: NDArray[np.float32]  # (rows, rank)


Factors = Mapping[tuple[int, str], LowRank]  # by layer and projection, such as (0, "self_attn.q_proj")


@dataclass(frozen=True)
class OpenedAdapter:
    """An adapter whose files are those of its manifest and whose base is at hand."""

    folder: Path
    manifest: AdapterManifest

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """What PEFT reads of its form: rank, alpha, targets."""
        value: Mapping[str, Any] = json.loads((self.folder / CONFIG).read_text(encoding="utf-8"))
        return value

    @property
    def is_plain(self) -> bool:
        """Whether it is `factors` and nothing else: one rank, no magnitudes (DoRA), no biases."""
        odd = any(self.config.get(name) for name in _NOT_PLAIN)
        return not odd and self.config.get("bias", "none") == "none"

    def documents(self) -> frozenset[str] | None:
        """Return the Digests of the document versions it was fitted on, None where that was not written down."""
        if DOCUMENTS not in self.manifest.files:
            return None
        return frozenset(json.loads((self.folder / DOCUMENTS).read_text(encoding="utf-8")))

    def tensors(self) -> dict[str, Tensor]:
        """Return its numbers under PEFT's names."""
        from safetensors.torch import load_file

        found: dict[str, Tensor] = load_file(self.folder / WEIGHTS)
        return found

    def factors(self) -> Factors:
        """Return the matrices of a plain adapter. Raises BadInput for a name that stands for no such matrix."""
        from safetensors.numpy import load_file

        stored = load_file(self.folder / WEIGHTS)
        rank, alpha = self.config["r"], self.config["lora_alpha"]
        scaling = np.float32(alpha / (rank**0.5 if self.config.get("use_rslora") else rank))
        found: dict[tuple[int, str, str], NDArray[np.float32]] = {}
        for name, values in stored.items():
            match = _NAME.fullmatch(name)
            if match is None:
                raise BadInput(
                    f"The adapter {self.folder.name} holds {name}, expected matrices of projections only; fit it again."
                )
            found[int(match[1]), match[2], match[3]] = values.astype(np.float32)
        places = {key[:2] for key in found}
        halves = [(layer, name, half) for layer, name in sorted(places) for half in "AB"]
        missing = [key for key in halves if key not in found]
        if missing:
            raise BadInput(f"The adapter {self.folder.name} has A or B alone for {missing[0][:2]}; fit it again.")
        return {at: LowRank(found[*at, "A"], found[*at, "B"] * scaling) for at in sorted(places)}


def served_adapter(named: str, base: Manifest) -> OpenedAdapter | None:
    """Open the adapter that the setting `answer.adapter` names, None for "".

    Raises NotFound where there is none, and the errors of `open_adapter`; one that was fitted on weights of another
    quantization than the served ones is refused too.
    """
    if not named:
        return None
    folder = PACKAGED_FOLDER if named == PACKAGED else Path(named).expanduser()
    if not folder.is_dir():
        where = "is not part of this installation" if named == PACKAGED else "is no folder"
        raise NotFound(
            f"The setting answer.adapter is {named!r}, and {folder} {where}; name the folder of an adapter, or nothing "
            "to answer with the base model alone."
        )
    served = str(base.conversion["quantization"]).replace("-", "_")
    return open_adapter(folder, base, quantization=served)


def read_adapter(folder: Path) -> OpenedAdapter:
    """Read an adapter, hashing every file. Raises BadInput where there is none and Damaged naming what is wrong."""
    if not (folder / MANIFEST).exists() and (folder / "adapter" / MANIFEST).exists():
        folder = folder / "adapter"  # the folder of a run was meant
    try:
        value = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(
            f"{folder} has no {MANIFEST}; expected an adapter as `provenant finetune train` writes it."
        ) from error
    except ValueError as error:
        raise Damaged(
            f"{folder / MANIFEST} cannot be read ({error}); fit the adapter again, or take an intact copy."
        ) from error
    try:
        stated, found_format = value.pop("digest"), value.pop("format")
        manifest = AdapterManifest(**value)
        wrong = "" if stated == manifest.digest and found_format == FORMAT else "its digest or format is another"
    except (KeyError, TypeError, AttributeError) as error:
        wrong = repr(error)
    if wrong:
        raise Damaged(
            f"{folder / MANIFEST} is no manifest of an adapter ({wrong}); fit it again, or take an intact copy."
        )
    _check_files(folder, manifest)
    return OpenedAdapter(folder, manifest)


def open_adapter(folder: Path, base: Manifest, *, quantization: str | None = None) -> OpenedAdapter:
    """Read an adapter that is to run on a base.

    Raises Damaged as `read_adapter`, and BadInput naming the first of base, tokenizer, template, prompt and (where it
    is given) quantization that is not the one the adapter was fitted with.
    """
    opened = read_adapter(folder)
    expected = {
        "base": (opened.manifest.base_digest, base.digest),
        "tokenizer": (opened.manifest.tokenizer_digest, base_file(base, "tokenizer.json")),
        "chat template": (opened.manifest.template_digest, base_file(base, "chat_template.jinja")),
        "prompt": (opened.manifest.prompt_digest, PROMPT_DIGEST),
    }
    if quantization is not None:
        expected["quantization"] = (opened.manifest.quantization, quantization)
    for name, (fitted, present) in expected.items():
        if fitted != present:
            raise BadInput(
                f"The adapter {folder.name} was fitted with the {name} {fitted[:26]} and here is {present[:26]}; use "
                f"the {name} it was fitted with, or fit it again."
            )
    return opened


def base_file(base: Manifest, name: str) -> str:
    """Return the Digest of a file of the half-precision base. Raises BadInput where the base has none."""
    stored = base.files.get(f"{BASE_FOLDER}/{name}")
    if stored is None:
        raise BadInput(f"The base {base.name} has no {BASE_FOLDER}/{name}; pull it again, or name another.")
    return stored.digest


def _check_files(folder: Path, manifest: AdapterManifest) -> None:
    there = {path.name for path in folder.iterdir()} - {MANIFEST}
    for name in sorted(there | set(manifest.files)):
        path = folder / name
        if name not in manifest.files or not path.is_file() or digest_file(path) != manifest.files[name]:
            raise Damaged(
                f"{path} is not the file that the adapter's manifest names; fit the adapter again, or take an intact "
                "copy."
            )
