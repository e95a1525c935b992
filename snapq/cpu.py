"""Models on this machine's CPU: the one place that opens and runs them in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from snapq.errors import ModelError
from snapq.runtime import import_onnxruntime
from snapq.scratch import Scratch

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir

    Arrays = Mapping[str, np.ndarray]

__all__ = ["CpuModel"]

LARGEST_IN_MEMORY = 1 << 30
"""Bytes of weights above which a model goes to ONNX Runtime through a file, which maps them."""


WORTH_SHARING = 1 << 26
"""Bytes of weights that ONNX Runtime should not copy."""


class CpuModel:
    """A model on ONNX Runtime's CPU execution provider, whatever its size.

    Args:
        source: path of an ONNX file, a model in memory (left as it is), or a serialized one.
        threads: intra-op threads.
        optimize: whether ONNX Runtime may rewrite the graph; False computes each node as written.
        spin: whether threads without work look for some all the time. That saves microseconds a
            node where nobody else wants the cores, and takes twice as long where somebody does.
        prepack: whether products have copies of their weights in the form that they read fastest,
            and memory is kept for the next run. Without, and with `optimize` off, a model in memory
            takes next to nothing beside its weights and activations.
        in_memory: bytes of a model in memory, the weights that are read where they are left out,
            above which it is written to a temporary file.

    Raises:
        ModelError: ONNX Runtime does not accept the model.
        StorageError: the temporary file cannot be written.
    """

    def __init__(
        self,
        source: Path | bytes | ir.Model,
        *,
        threads: int = 1,
        optimize: bool = True,
        spin: bool = True,
        prepack: bool = True,
        in_memory: int = LARGEST_IN_MEMORY,
    ) -> None:
        ort = import_onnxruntime()
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Idle threads would go on spinning, and slow down whatever else this machine measures.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        # Or 16-bit data of a MatMul become 8-bit ones: 38 dB for 79 (ONNX Runtime 1.32).
        options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")
        if not spin:
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if not prepack:
            options.add_session_config_entry("session.disable_prepacking", "1")
            options.enable_cpu_mem_arena = options.enable_mem_pattern = False
        if not optimize:
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        self._where = str(source) if isinstance(source, Path) else None
        with _loadable(source, in_memory, apart=not optimize) as found:
            self._weights = found.weights  # the session reads them where they are
            values = [ort.OrtValue.ortvalue_from_numpy(one) for one in found.weights.values()]
            if values and not found.shared:
                options.add_external_initializers(list(found.weights), values)
            for name, value in zip(found.weights, values, strict=True) if found.shared else ():
                options.add_initializer(name, value)
            try:
                self.session = ort.InferenceSession(
                    found.model, options, providers=["CPUExecutionProvider"]
                )
            except Exception as error:  # the class is ONNX Runtime's own, and is not exported
                raise self._refused("accept", error, str(found.model)) from error
        self.inputs = tuple(value.name for value in self.session.get_inputs())
        """Names of the inputs."""
        self.outputs = tuple(value.name for value in self.session.get_outputs())
        """Names of the outputs."""
        # What fails is raised, and need not be logged as well.
        self._run_options = ort.RunOptions()
        self._run_options.log_severity_level = 4

    def run(
        self, feeds: Mapping[str, np.ndarray], names: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Computes outputs by name, all of them where no names are given.

        Raises:
            ModelError: the feeds do not fit, or a node cannot take what it is given.
        """
        wanted = self.outputs if names is None else tuple(names)
        if not wanted:
            return {}
        try:
            values = self.session.run(wanted, dict(feeds), self._run_options)
        except Exception as error:
            raise self._refused("run", error) from error
        return dict(zip(wanted, values, strict=True))

    def _refused(self, verb: str, error: Exception, loaded: str = "") -> ModelError:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        if self._where is None:  # a temporary file means nothing to the reader
            reason = reason.replace(f"Load model from {loaded} failed:", "")
        hint = _BEYOND_TABLE if "out of data bounds" in reason else None
        told = f"ONNX Runtime does not {verb} the model: {reason}"
        return ModelError(told, where=self._where, hint=hint)


_BEYOND_TABLE = (
    "Give samples within that range, made with the vocabulary of this model, or export the model "
    "with its whole table."
)


def _has_subgraphs(model: ir.Model) -> bool:
    return any(True for _ in islice(model.graphs(), 1, None))


@dataclass(frozen=True)
class _Loadable:
    """What ONNX Runtime loads: a path, or one protobuf message; and weights beside it, by name.

    Weights that are `shared` are nowhere else, and used as they are; ONNX Runtime copies others.
    """

    model: str | bytes
    weights: Arrays = field(default_factory=dict)
    shared: bool = False


@contextmanager
def _loadable(
    source: Path | bytes | ir.Model, in_memory: int, *, apart: bool
) -> Iterator[_Loadable]:
    """A model as ONNX Runtime loads it; `apart` says that it reads weights when it runs only.

    What rewrites a graph reads them before, and turns some round under their names.
    """
    if isinstance(source, Path):
        yield _Loadable(str(source))
        return
    if isinstance(source, bytes):
        yield _Loadable(source)
        return
    from snapq.graph import io  # not in processes that only time a file

    found = io.by_reference(source, in_memory)
    with Scratch() as scratch:
        path = scratch.path / "model.onnx"
        if found is None:
            io.save(source, path)
            yield _Loadable(str(path))
            return
        message, weights = found
        sizes = [array.nbytes for array in weights.values()]
        if apart and sum(sizes) >= WORTH_SHARING and not _has_subgraphs(source):
            path.write_bytes(message)
            with (scratch.path / io.APART).open("wb") as file:
                file.truncate(max(sizes))  # a hole, of which nothing is read
            yield _Loadable(str(path), weights, shared=True)
        else:
            yield _Loadable(message, weights)
