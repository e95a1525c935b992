"""Calibration: samples stream through the float model, observers watch its activations.

Nothing is kept of a sample after it has been observed: memory is that of one sample's activations,
however many samples there are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.cpu import CpuModel
from snapq.errors import DataError, ModelError
from snapq.graph.cost import total_macs
from snapq.graph.shapes import TensorSpec, input_specs
from snapq.quantization.calibration.digest import Digest, add_digests, digest
from snapq.quantization.calibration.observers.collector import Collector
from snapq.runtime import processors

__all__ = ["Samples", "calibrate", "check_sample", "expose", "is_large", "stream"]

Samples = Iterable[Mapping[str, npt.NDArray[np.generic]]]
"""Feeds of the model's inputs, sample by sample."""

_COPIED = 1 << 29
"""Bytes of weights up to which ONNX Runtime may rewrite the graph, which copies them."""
_FEW_MACS = 10_000_000
"""So few multiply-accumulates take a core a millisecond: threads would longer wait for each other
than they work."""
_LARGE = 100_000_000
"""Bytes of weights."""
_NOTHING = np.zeros(0, np.float32)


def calibrate(
    model: ir.Model,
    samples: Samples,
    tensors: Sequence[str],
    progress: Callable[[int], None] | None = None,
    *,
    logits: Collection[str] = (),
    counted: int | None = None,
) -> dict[str, Collector]:
    """Runs every sample once and lets one collector watch each tensor.

    Args:
        model: the float model with fixed input shapes.
        samples: feeds; read once, one after another.
        tensors: names of float values of the main graph (inputs of the graph too).
        progress: called with 1 for each sample.
        logits: tensors that may hold -inf, as Softmax makes zero of it.
        counted: of so many samples histograms count the values; of all where not given. Minima and
            maxima are those of all samples, and histograms of `logits` too.

    Raises:
        DataError: there is no sample; a sample does not fit the model or holds NaN or infinity; an
            activation is NaN or infinite (sample and tensor are named).
        ModelError: ONNX Runtime does not accept the model.
    """
    fed = {spec.name for spec in input_specs(model)}
    computed = [name for name in tensors if name not in fed]
    digests = add_digests(model, computed, logits)
    inputs = [name for name in tensors if name in fed]
    collectors = {name: Collector() for name in tensors}
    runnable = _opened(digests.model) if computed else None
    for index, feeds in _checked(samples, input_specs(model), progress):
        full = counted is None or index < counted
        values: Mapping[str, npt.NDArray[np.generic]] = {}
        if runnable is not None:
            given = {**feeds, **digests.feeds(counted=full)}
            values = _run(runnable, digests.outputs(counted=full), given, index)
        fed_too = ((name, digest(feeds[name])) for name in inputs)
        for name, found in chain(digests.read(values), fed_too):
            _check(found, name, index, name in logits)
            picks = found.picks if full or name in logits else _NOTHING
            collectors[name].update(found.minimum, found.maximum, found.count, picks)
    return collectors


def stream(
    model: ir.Model,
    samples: Samples,
    tensors: Sequence[str],
    progress: Callable[[int], None] | None = None,
) -> Iterator[dict[str, npt.NDArray[np.generic]]]:
    """Runs sample after sample through a model and yields the values of `tensors`.

    Args and errors as for `calibrate`.
    """
    specs = input_specs(model)
    fed = {spec.name for spec in specs}
    computed = [name for name in tensors if name not in fed]
    runnable = _opened(expose(model, computed))
    for index, feeds in _checked(samples, specs, progress):
        values = {name: feeds[name] for name in tensors if name in fed}
        if computed:
            values.update(_run(runnable, computed, feeds, index))
        yield values


def _opened(model: ir.Model) -> CpuModel:
    threads = 1 if total_macs(model) < _FEW_MACS else processors()
    small = not is_large(model)
    return CpuModel(model, threads=threads, spin=False, optimize=small, prepack=small)


def is_large(model: ir.Model) -> bool:
    """Whether weights take so much memory that products should not have a second copy of them.

    Packing takes as long as a product of a hundred rows saves by it in several samples.
    """
    constants = (value.const_value for value in model.graph.initializers.values())
    return sum(tensor.nbytes for tensor in constants if tensor is not None) >= _LARGE


def _checked(
    samples: Samples, specs: Sequence[TensorSpec], progress: Callable[[int], None] | None
) -> Iterator[tuple[int, dict[str, npt.NDArray[np.generic]]]]:
    """Number and feeds of each sample. Raises `DataError` where one does not fit, or is missing."""
    done = 0
    for index, sample in enumerate(samples):
        yield index, check_sample(sample, specs, f"calibration sample {index}")
        done = index + 1
        if progress is not None:
            progress(1)
    if not done:
        raise DataError(
            "There is no calibration sample.",
            where="data.calibration",
            hint="Give at least one; 32 to 128 that look like what the device will see are usual.",
        )


def _run(
    model: CpuModel, names: Sequence[str], feeds: Mapping[str, npt.NDArray[np.generic]], index: int
) -> Mapping[str, npt.NDArray[np.generic]]:
    """Outputs of one sample. Raises `ModelError` where a node cannot take what it is given."""
    try:
        return model.run(feeds, names)
    except ModelError as error:
        raise ModelError(
            error.what,
            where=f"calibration sample {index}",
            hint="Check the model and the sample in ONNX Runtime.",
        ) from error


def check_sample(
    sample: Mapping[str, npt.NDArray[np.generic]], specs: Sequence[TensorSpec], where: str
) -> dict[str, npt.NDArray[np.generic]]:
    """The feeds of a sample, found to fit the model.

    Raises:
        DataError: an input is missing, unknown, of the wrong shape or type, or not finite.
    """
    names = {spec.name for spec in specs}
    for name in sample:
        if name not in names:
            raise DataError(
                f"It feeds '{name}', which the model does not have.",
                where=where,
                hint=f"The model's inputs are: {', '.join(sorted(names))}.",
            )
    feeds = {}
    for spec in specs:
        if spec.name not in sample:
            raise DataError(f"The model's input '{spec.name}' is not fed.", where=where)
        array = np.asarray(sample[spec.name])
        if array.shape != spec.shape or array.dtype != spec.dtype:
            raise DataError(
                f"Input '{spec.name}' is {array.dtype}{list(array.shape)}; "
                f"the model wants {spec.dtype}{list(spec.shape)}.",
                where=where,
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise DataError(
                f"Input '{spec.name}' holds NaN or infinity.",
                where=where,
                hint="Leave this sample out, or fix how it is made.",
            )
        feeds[spec.name] = array
    return feeds


def expose(model: ir.Model, tensors: Sequence[str]) -> ir.Model:
    """The model, a copy where needed, with `tensors` as outputs after those that it has.

    Raises:
        KeyError: the main graph has no such value.
    """
    present = {value.name for value in model.graph.outputs}
    if present.issuperset(tensors):
        return model
    copy = model.clone()
    values = {value.name: value for node in copy.graph for value in node.outputs}
    copy.graph.outputs.extend(values[name] for name in tensors if name not in present)
    return copy


def _check(seen: Digest, name: str, index: int, masked: bool) -> None:
    """Refuses a tensor with NaN or infinity; -inf is a mask where `masked`."""
    missing = seen.total != seen.total
    infinite = seen.maximum == np.inf or (seen.minimum == -np.inf and not masked)
    if seen.count and (missing or infinite):
        kind = "an infinite value" if infinite else "NaN"
        raise DataError(
            f"Tensor '{name}' holds {kind} when the float model runs on this sample.",
            where=f"calibration sample {index}",
            hint="Leave this sample out, or fix the model: it has no range to quantize.",
        )
