"""The weights of a decoder, read one tensor at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from snapq.errors import ModelError
from snapq.llm.architecture import Decoder
from snapq.llm.parts import LAYER, TOP, Part, canonical, expected_shape

__all__ = ["Stored", "Weights"]

Floats = npt.NDArray[np.float32]
_SHOWN = 5
_OTHER = "Only decoders of the Llama type are taken: RMSNorm, RoPE, grouped queries, SwiGLU."


@dataclass(frozen=True)
class Stored:
    """A tensor that lies in a file.

    Attributes:
        name: in the file.
        shape: as `[out, in]` or `[size]`.
        read: gives its values.
    """

    name: str
    shape: tuple[int, ...]
    read: Callable[[], Floats]


class Weights:
    """The tensors of a decoder by the names of `parts`, all there and of the right shape.

    Args:
        decoder: what they belong to.
        stored: by the name in the file.
        kind: of file: `transformers` or `gguf`.
        source: the file or folder, for messages.

    Raises:
        ModelError: a tensor is missing, of another shape, or none of such a decoder.
    """

    def __init__(
        self, decoder: Decoder, stored: Mapping[str, Stored], kind: str, source: Path
    ) -> None:
        self._source = source
        self._factors: dict[str, Floats] = {}
        self._decoder = decoder
        self._stored: dict[str, Stored] = {}
        unknown = [name for name in stored if canonical(name, kind) is None]
        if unknown:
            shown = ", ".join(f"'{name}'" for name in sorted(unknown)[:_SHOWN])
            more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
            raise ModelError(
                f"It has tensors that such a decoder does not have: {shown}{more}.",
                where=str(source),
                hint=_OTHER,
            )
        for name, tensor in stored.items():
            self._stored[str(canonical(name, kind))] = tensor
        self._check(kind)

    def __contains__(self, name: str) -> bool:
        return name in self._stored

    def __getitem__(self, name: str) -> Floats:
        """The values of a tensor, read anew each time. Raises `ModelError`."""
        tensor = self._stored[name]
        values = tensor.read()
        if not np.isfinite(values).all():
            raise ModelError(f"Tensor '{tensor.name}' holds NaN or infinity.", where=self._where)
        if name in self._factors:
            values = values * self._factors[name]
        return np.ascontiguousarray(values, np.float32)

    def scaled(self, factors: Mapping[str, Floats]) -> Weights:
        """The same with some tensors multiplied by what broadcasts over them."""
        other = copy(self)
        other._factors = dict(self._factors)
        for name, factor in factors.items():
            other._factors[name] = other._factors.get(name, np.float32(1)) * factor
        return other

    @property
    def parameters(self) -> int:
        """How many numbers they are."""
        return sum(math.prod(tensor.shape) for tensor in self._stored.values())

    @property
    def _where(self) -> str:
        return str(self._source)

    def _check(self, kind: str) -> None:
        for part in TOP:
            if part.name == "head.weight" and self._decoder.tied:
                self._stored.pop(part.name, None)
                continue
            optional = part.optional and part.name != "head.weight"
            self._check_part(part, part.name, getattr(part, kind), optional)
        for layer in range(self._decoder.layers):
            prefix = f"model.layers.{layer}" if kind == "transformers" else f"blk.{layer}"
            for part in LAYER:
                name = f"layers.{layer}.{part.name}"
                self._check_part(part, name, f"{prefix}.{getattr(part, kind)}", part.optional)
            norms = [f"layers.{layer}.{side}_norm.weight" in self for side in "qk"]
            if any(norms) and not all(norms):
                raise ModelError(
                    f"Layer {layer} normalizes queries or keys, and not both.", where=self._where
                )
        beyond = [name for name in self._stored if self._layer(name) >= self._decoder.layers]
        if beyond:
            raise ModelError(
                f"It has {self._decoder.layers} layers, and a tensor of another one: "
                f"'{self._stored[beyond[0]].name}'.",
                where=self._where,
                hint="Check that the configuration belongs to the weights.",
            )

    def _check_part(self, part: Part, name: str, in_file: str, optional: bool) -> None:
        tensor = self._stored.get(name)
        if tensor is None:
            if optional:
                return
            raise ModelError(
                f"It lacks the tensor '{in_file}'.",
                where=self._where,
                hint="Check that the download is whole, and that all files of it are there.",
            )
        wanted = expected_shape(part, self._decoder)
        if tensor.shape != wanted:
            raise ModelError(
                f"Tensor '{tensor.name}' is {list(tensor.shape)}; the sizes of the decoder make it "
                f"{list(wanted)}.",
                where=self._where,
                hint="Check that the configuration belongs to the weights.",
            )

    @staticmethod
    def _layer(name: str) -> int:
        return int(name.split(".")[1]) if name.startswith("layers.") else -1
