"""A model on its way to the NPU: as a file, in memory, or yet to be made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import onnx_ir as ir

from snapq.graph import io
from snapq.npu.judged.rewrites import PLAIN, Form, rewritten
from snapq.npu.qnn import model_files
from snapq.scratch import Scratch
from snapq.storage import sha256_file

__all__ = ["Deferred", "Source"]

_QUANTIZED = ("QuantizeLinear", "DequantizeLinear")


@dataclass(frozen=True)
class Deferred:
    """A model that is made when it is needed, and need not be where its answers are known.

    Attributes:
        digest: of all that the model depends on.
        make: makes it.
    """

    digest: str
    make: Callable[[], ir.Model]


class Source:
    """One model, in the form that is asked for.

    Args:
        given: the path of a file, a model in memory (left as it is), or one yet to be made.
    """

    def __init__(self, given: Path | ir.Model | Deferred) -> None:
        self._given = given
        self._folder: Scratch | None = None
        self._written: dict[Form, Path] = {}

    @cached_property
    def digest(self) -> str:
        """Hash of the model with its weights, or of what it is made of."""
        if isinstance(self._given, Deferred):
            return self._given.digest
        if isinstance(self._given, ir.Model):
            return io.digest(self._given)
        return "+".join(map(sha256_file, model_files.read(self._given).all_paths()))

    @cached_property
    def model(self) -> ir.Model:
        """The model in memory."""
        if isinstance(self._given, Deferred):
            return self._given.make()
        return self._given if isinstance(self._given, ir.Model) else io.load(self._given)

    @cached_property
    def compiled(self) -> bool:
        """Whether it holds what was compiled already."""
        return isinstance(self._given, Path) and model_files.read(self._given).compiled

    @cached_property
    def quantized(self) -> bool:
        """Whether it holds Q or DQ nodes."""
        if isinstance(self._given, Path):
            return model_files.read(self._given).quantized
        return any(node.op_type in _QUANTIZED for node in self.model.graph)

    def path(self, form: Form = PLAIN) -> Path:
        """The file; what is in memory is written to a temporary one, which goes with this object.

        Raises:
            StorageError: the file cannot be written.
        """
        if isinstance(self._given, Path) and form == PLAIN:
            return self._given
        if form not in self._written:
            if self._folder is None:
                self._folder = Scratch()
            name = self._given.name if isinstance(self._given, Path) else "model.onnx"
            path = self._folder.path / str(len(self._written)) / name
            io.save(rewritten(self.model, form), path)
            self._written[form] = path
        return self._written[form]
