"""The frozen weights of a model folder, quantized where the recipe says so.

It knows safetensors files and refuses to know adapters and data. Rules: `nf4_dq` takes the very bytes that are served
(`nf4/`), everything else is made from the half-precision `base/`; a tensor is read when it is asked for; nothing is
fetched.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.model_convert import BASE_FOLDER, QUANTIZED_FOLDER
from finetune.base_weights import BLOCK, DoubleScales, Nf4, quantize, read_shape
from finetune.recipe import Quantization
from governance.errors import BadInput, Damaged

if TYPE_CHECKING:
    from torch import Tensor

_INDEX, _SINGLE = "model.safetensors.index.json", "model.safetensors"
_QUANT_STATE = "quant_state.bitsandbytes__nf4"


class FolderSource:
    """The weights of a model folder with `base/` and, for the catalogue's models, `nf4/`."""

    def __init__(self, folder: Path, quantization: Quantization, device: str) -> None:
        self._base = _Tensors(folder / BASE_FOLDER)
        self.shape = read_shape(self._base.config)
        self._quantization, self._device = quantization, device
        served = folder / QUANTIZED_FOLDER
        self._served = _Tensors(served) if quantization == "nf4_dq" and (served / "config.json").is_file() else None
        if quantization.startswith("nf4") and (self.shape.hidden % BLOCK or self.shape.middle % BLOCK):
            raise BadInput(
                f"The base has rows of {self.shape.hidden} and {self.shape.middle} numbers; NF4 needs multiples of "
                f"{BLOCK}: use the quantization bf16."
            )

    def dense(self, name: str) -> Tensor:
        """Return an embedding, norm or head weight as it is stored."""
        return self._base.tensor(name).to(self._device)

    def linear(self, name: str) -> Tensor | Nf4:
        """Return a projection as the quantization says."""
        if self._served is not None:
            return _stored_nf4(self._served, name, self._device)
        weight = self._base.tensor(name).to(self._device)
        if self._quantization in {"nf4", "nf4_dq"}:
            return quantize(weight, doubly=self._quantization == "nf4_dq")
        return weight


class _Tensors:
    """The tensors of a folder of safetensors files, read when asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.config: dict[str, Any] = json.loads(self._text("config.json"))
        index = folder / _INDEX
        self._files: dict[str, str] = json.loads(self._text(_INDEX))["weight_map"] if index.is_file() else {}

    def tensor(self, name: str) -> Tensor:
        """Return a tensor on the CPU. Raises Damaged where it is not there."""
        from safetensors import SafetensorError, safe_open

        path = self._folder / self._files.get(name, _SINGLE)
        try:
            with safe_open(path, framework="pt") as file:
                found: Tensor = file.get_tensor(name)
                return found
        except (OSError, SafetensorError) as error:
            raise Damaged(f"{path} does not give {name} ({error}); pull the base model again.") from error

    def _text(self, name: str) -> str:
        try:
            return (self._folder / name).read_text(encoding="utf-8")
        except OSError as error:
            raise BadInput(f"{self._folder} has no readable {name}; expected the folder of a pulled model.") from error


def _stored_nf4(tensors: _Tensors, name: str, device: str) -> Nf4:
    stored = json.loads(bytes(tensors.tensor(f"{name}.{_QUANT_STATE}").numpy()).decode())
    if stored["blocksize"] != BLOCK or stored["quant_type"] != "nf4":
        raise Damaged(f"{name} is quantized in another way than NF4 in blocks of {BLOCK}; pull the base model again.")
    part = {key: tensors.tensor(f"{name}.{key}").to(device) for key in ("absmax", "quant_map")}
    scales: Tensor | DoubleScales = part["absmax"]
    if "nested_offset" in stored:
        nested = {key: tensors.tensor(f"{name}.nested_{key}").to(device) for key in ("absmax", "quant_map")}
        scales = DoubleScales(
            part["absmax"], nested["absmax"], nested["quant_map"], stored["nested_blocksize"], stored["nested_offset"]
        )
    packed = tensors.tensor(name).to(device).view(stored["shape"][0], -1)
    return Nf4(packed, scales, part["quant_map"].float())
