"""Quantizes a pair of graphs with one set of encodings, calibrated with the user's text.

Encodings go by the names of tensors, which are the same in both graphs: prefill is calibrated, and
decode takes what was found. So weights are the same bytes in both, and one binary can hold them
once. The cache has 8 bits, all else 16, weights 8 a channel.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.cpu import CpuModel
from snapq.errors import ModelError
from snapq.graph import io
from snapq.llm.equalize import CacheRanges, equalize, factors
from snapq.llm.files import DECODE, PREFILL, Facts, Folder
from snapq.llm.graph.decoder import FORM
from snapq.llm.integer_cache import integers_at
from snapq.llm.rotate import rotate
from snapq.llm.round_weights import rounded_weights, small_layers
from snapq.llm.speaker import Speaker
from snapq.llm.texts import prefill_feeds
from snapq.llm.wide import WIDE
from snapq.precision import ActivationType, PairPrecision, WeightType
from snapq.progress import Advance
from snapq.quantization.calibration.observers.collector import TensorStatistics
from snapq.quantization.encodings import Encoding, QuantType, asymmetric
from snapq.quantization.notes import Note, NoteKind
from snapq.quantization.qdq.parameters import Tuned
from snapq.quantization.qdq.scheme import NodePrecision, Scheme, Source
from snapq.quantization.quantize import quantize
from snapq.runtime import processors

__all__ = ["QuantizedPair", "Target", "quantize_pair"]

Floats = npt.NDArray[np.float32]
_LARGEST_SUM = 2.0**15
"""fp16 ends at 65504; half of it leaves room for what calibration did not meet."""


@dataclass(frozen=True)
class Target:
    """What all devices can do.

    Attributes:
        architecture: the lowest Hexagon version of them, 73 for v73.
        float16: whether all compute floats.
    """

    architecture: int
    float16: bool


@dataclass(frozen=True)
class QuantizedPair:
    """A pair with Q and DQ.

    Attributes:
        prefill: the graph of many tokens; its cache is integers.
        decode: the graph of one.
        precision: of both.
        wide: at w4a16, which parts and layers have weights of 8 bits.
        cache: encoding of each input of the cache; the output has the same.
        tokens: that calibrated.
        shift: largest difference of the float logits by equalization, over the windows.
        notes: for the reader.
    """

    prefill: ir.Model
    decode: ir.Model
    precision: PairPrecision
    wide: tuple[str, ...]
    cache: dict[str, Encoding]
    tokens: int
    shift: float
    notes: tuple[Note, ...]


def quantize_pair(
    folder: Folder,
    texts: Sequence[Sequence[int]],
    target: Target,
    progress: Advance | None = None,
    *,
    precision: PairPrecision = PairPrecision.W8A16,
    wide: Collection[str] = WIDE,
) -> QuantizedPair:
    """Equalizes, turns, calibrates and quantizes a pair.

    Args:
        folder: of the float pair.
        texts: passages of tokens that calibrate.
        target: what the devices can do.
        progress: told after each window, and after each layer whose weights are rounded.
        precision: of the weights.
        wide: at w4a16, which parts and layers have weights of 8 bits.

    Raises:
        DataError: an activation is not finite.
        ModelError: a graph is damaged.
    """
    facts = folder.facts
    ranges = CacheRanges()
    given = _opened(folder, PREFILL)
    before = _ends(given, folder, texts, ranges)
    norms = "layers.0.k_norm.weight" in given.graph.initializers
    by = factors(ranges, facts, shared=norms)
    equalize(given, by, facts)
    turned = rotate(given, facts)
    cache = _cache_encodings(ranges.divided(by), facts)
    small = small_layers(facts, wide) if precision is PairPrecision.W4A16 else []
    tuned = rounded_weights(given, facts, texts, small, progress or _silent) if small else {}
    scheme = _scheme(facts, target, tuned)
    speaker = _speaker(given, facts)
    after: list[Floats] = []
    windows = prefill_feeds(
        speaker, texts, facts.prefill, lambda outputs, _: after.append(_last(outputs))
    )
    whole = quantize(given, windows, scheme, fixed=cache, tuned=tuned, progress=progress)
    known = {**cache, **whole.encodings}
    sums = {} if turned or not target.float16 else _float_sums(whole.statistics, facts)
    if sums:
        scheme = replace(scheme, per_node={**scheme.per_node, **sums})
        whole = quantize(given, None, scheme, fixed=cache, known=whole.seen, tuned=tuned)
        known |= whole.encodings
    shift = max(float(np.abs(a - b).max()) for a, b in zip(before, after, strict=True))
    del speaker
    single = _opened(folder, DECODE)
    _share(given, single)
    one = quantize(single, None, scheme, fixed=known, tuned=tuned)
    for found in (whole, one):
        names = {*facts.layout.inputs(1), *facts.layout.outputs(1)}
        integers_at(found.model, names)
    held = {name: cache[name] for name in facts.layout.inputs(1)}
    count = sum(len(text) for text in texts)
    notes = whole.notes if turned else _told(whole.notes, sums, target)
    return QuantizedPair(whole.model, one.model, precision, tuple(wide), held, count, shift, notes)


def _opened(folder: Folder, name: str) -> ir.Model:
    """A graph whose weights stay in their file. Raises `ModelError` where it has another form."""
    model = io.load(folder.path / name, limit=0)
    if FORM not in {node.name for node in model.graph}:
        raise ModelError(
            "It has not the form that this snapq writes; an earlier one may have written it.",
            where=str(folder.path / name),
            hint="Write the folder anew: snapq llm init",
        )
    return model


def _share(model: ir.Model, other: ir.Model) -> None:
    """Gives the other graph of a pair the weights of the first: both read them of one file."""
    held = model.graph.initializers
    for name, value in other.graph.initializers.items():
        if isinstance(value.const_value, ir.ExternalTensor):
            value.const_value = held[name].const_value


def _silent(_: int) -> None:
    """Tells nobody."""


def _scheme(facts: Facts, target: Target, tuned: Mapping[str, Tuned]) -> Scheme:
    """w8a16, what moves the cache at 8 bits, and weights of 4 bits."""
    small = NodePrecision(weights=WeightType.INT4, reason="the precision of the pair")
    narrow = NodePrecision(activations=ActivationType.UINT8, reason="the cache of 8 bits")
    per_node = dict.fromkeys(tuned, small)
    for layer in range(facts.layers):
        nodes = (f"present_key_{layer}", f"layers.{layer}.v_ordered")
        for name in (*nodes, f"layers.{layer}.keys", f"layers.{layer}.values"):
            per_node[name] = narrow
    return Scheme(
        weights=WeightType.INT8,
        activations=ActivationType.UINT16,
        architecture=target.architecture,
        float16=target.float16,
        per_node=per_node,
        second_8bit=True,
    )


def _float_sums(seen: Mapping[str, TensorStatistics], facts: Facts) -> dict[str, NodePrecision]:
    """Float for the sums of a stream that is not turned, unless fp16 would not hold them."""
    names = [f"layers.{layer}.residual{part}" for layer in range(facts.layers) for part in (1, 2)]
    if any(max(-seen[name].minimum, seen[name].maximum) > _LARGEST_SUM for name in names):
        return {}
    whole = NodePrecision(
        activations=ActivationType.FLOAT16,
        reason="the rule for sums of a residual stream",
        source=Source.RULE,
    )
    return dict.fromkeys(names, whole)


def _told(
    found: Sequence[Note], sums: Mapping[str, NodePrecision], target: Target
) -> tuple[Note, ...]:
    """The notes, with one sentence on the sums in the place of all of their names."""
    others = [note for note in found if not note.nodes or not sums.keys() >= set(note.nodes)]
    if sums:
        told = "Sums of the residual stream are in fp16, as it is too wide to be turned."
    else:
        why = "calibration saw values that fp16 may not hold"
        if not target.float16:
            why = "not all devices compute floats"
        told = (
            "Sums of the residual stream have 16 bits although it is too wide to be turned, as"
            f" {why}: look at `snapq llm evaluate` before you ship."
        )
    return (*others, Note(NoteKind.PRECISION, tuple(sums), told))


def _cache_encodings(ranges: CacheRanges, facts: Facts) -> dict[str, Encoding]:
    """The encodings of all that is cache, by tensor name: inputs, outputs, and both joined."""
    found: dict[str, Encoding] = {}
    for layer in range(facts.layers):
        for kind in ("key", "value"):
            name = f"present_{kind}_{layer}"
            low, high = float(ranges.low[name].min()), float(ranges.high[name].max())
            encoding = asymmetric(low, high, QuantType.UINT8)
            joined = f"layers.{layer}.{kind}s"
            for one in (name, f"past_{kind}_{layer}", joined):
                found[one] = encoding
    return found


def _ends(
    model: ir.Model, folder: Folder, texts: Sequence[Sequence[int]], ranges: CacheRanges
) -> list[Floats]:
    """The float logits behind each window; takes in what the cache holds."""
    found: list[Floats] = []

    def see(outputs: Mapping[str, npt.NDArray[np.generic]], count: int) -> None:
        ranges.see(outputs, count)
        found.append(_last(outputs))

    for _ in prefill_feeds(_speaker(model, folder.facts), texts, folder.facts.prefill, see):
        pass
    return found


def _speaker(model: ir.Model, facts: Facts) -> Speaker:
    run = CpuModel(model, threads=processors(), spin=False, prepack=False, optimize=False).run
    return Speaker(facts.layout, run, run, facts.prefill)


def _last(outputs: Mapping[str, npt.NDArray[np.generic]]) -> Floats:
    return np.asarray(outputs["logits"], np.float32).reshape(-1)
