"""What every algorithm is, what it works on, and the registry that finds one by name.

An algorithm takes a `Study` and returns a better one, or None where the model has nothing for it.
Whether it *is* better is not its business: `recipe.tune` measures that on held-out samples. To add
one, add a file to this folder with a function that `@register("name", stage)` decorates.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import cached_property

import onnx_ir as ir

from snapq.errors import ConfigError, did_you_mean
from snapq.quantization.calibration.calibrate import Samples
from snapq.quantization.calibration.moments import Moments, Seen, collect
from snapq.quantization.calibration.observers.collector import Collector
from snapq.quantization.encodings import Encoding
from snapq.quantization.qdq.decisions import Decision
from snapq.quantization.qdq.order import decide
from snapq.quantization.qdq.parameters import Tuned
from snapq.quantization.qdq.scheme import Scheme
from snapq.quantization.quantize import Quantized, encodings, observe, quantize
from snapq.quantization.tuning.channels.kept import kept
from snapq.quantization.tuning.channels.links import Link
from snapq.quantization.tuning.channels.statistics import (
    ChannelStatistics,
    KnownChannels,
    channel_statistics,
)
from snapq.quantization.tuning.known_layers import KnownLayers, Place
from snapq.quantization.tuning.layers import Layer, layers, plain_encoding

__all__ = [
    "FORMER_NAMES",
    "Algorithm",
    "Stage",
    "Study",
    "algorithm",
    "algorithm_names",
    "in_order",
    "register",
    "stage_of",
]


class Stage(IntEnum):
    """What an algorithm changes, in the order in which they run."""

    PARTS = 0
    """Types of whole parts of a model, in front of all else; kept where the NPU takes no longer."""
    BIAS = 1
    """Biases."""
    MODEL = 2
    """The float model itself, with the same outputs; what was found before is found anew."""
    RANGES = 3
    """Ranges of single tensors; biases are then corrected anew."""
    WEIGHTS = 4
    """The integers of weights, and biases that go with them."""
    REFINE = 5
    """Integers that were chosen."""
    TYPES = 6
    """Types of single activations; all integers of weights stay."""


ByLayer = dict[str, Tuned]
Find = Callable[[Layer, Encoding, Moments], Mapping[str, Tuned]]


@dataclass(frozen=True)
class Study:
    """A float model on its way to a quantized one.

    Attributes:
        model: the float model, lifted and lowered (`recipe.tune`).
        scheme: precision and observer.
        fixed: encodings imposed on tensors.
        samples: for tuning; can be read again and again.
        seen: what calibration saw of the model's tensors.
        tuned: weights that algorithms found, by name of the node.
    """

    model: ir.Model
    scheme: Scheme
    fixed: Mapping[str, Encoding]
    samples: Samples
    seen: Mapping[str, Collector]
    tuned: Mapping[str, Tuned] = field(default_factory=dict)
    layers_see: Seen | None = field(default=None, repr=False, compare=False)
    """What layers see of the samples; shared by all studies of one model."""
    channels: KnownChannels = field(default_factory=dict, repr=False, compare=False)
    """What samples showed of channels; shared by all studies of one model."""
    known: KnownLayers = field(default_factory=KnownLayers, repr=False, compare=False)
    """What algorithms found for layers; shared by all studies that come of each other."""

    def __post_init__(self) -> None:
        held = self.layers_see
        if held is None or held.model is not self.model or held.samples is not self.samples:
            object.__setattr__(self, "layers_see", Seen(self.model, self.samples))

    @cached_property
    def built(self) -> Quantized:
        """The quantized model as it stands."""
        return quantize(
            self.model, None, self.scheme, fixed=self.fixed, known=self.seen, tuned=self.tuned
        )

    @cached_property
    def encodings(self) -> Mapping[str, Encoding]:
        """How it holds what nodes read and give, by name."""
        if "built" in self.__dict__:
            return self.built.encodings
        return encodings(self.model, self.scheme, self.fixed, self.seen)

    def of(self, model: ir.Model) -> Study:
        """The study of another form of the float model.

        Tensors that hold in it what they held are not watched again.
        """
        names = kept(self.model, model)
        known = {name: seen for name, seen in self.seen.items() if name in names}
        return replace(
            self,
            model=model,
            scheme=replace(self.scheme, ranges={}),
            seen=observe(model, self.samples, known=known),
            tuned={},
            channels={key: seen for key, seen in self.channels.items() if key[0] in names},
        )

    def channel_statistics(
        self, model: ir.Model, links: Sequence[Link]
    ) -> dict[str, ChannelStatistics]:
        """What samples show of the channels of the links' tensors; `model` is as the study's own.

        Raises:
            DataError, ModelError: as `calibration.stream`.
        """
        return channel_statistics(model, links, self.samples, self.channels)

    @cached_property
    def layers(self) -> dict[str, tuple[Layer, Decision]]:
        """The layers whose weights may be chosen, by name; imposed weights are not."""
        decisions = decide(self.model, self.scheme, self.fixed)
        by_name = {str(node.name): (node, found) for node, found in decisions.items()}
        free = {}
        for layer in layers(decisions):
            node, decision = by_name[layer.name]
            weight = node.inputs[1]
            free_weight = weight is not None and weight.name not in self.fixed
            if free_weight and decision.weights.signed and layer.data in self.encodings:
                free[layer.name] = (layer, decision)
        return free

    def plain(self, layer: Layer, decision: Decision) -> Encoding:
        """The encoding of a layer's weight where no algorithm chooses another."""
        return plain_encoding(layer, decision, self.encodings[layer.data])

    def each_layer(
        self, chosen: Collection[str], names: Sequence[str], find: Find, *, second: bool
    ) -> ByLayer:
        """What algorithms find for each `chosen` layer, by its name: of the first of them.

        `find` takes a layer, its plain encoding and the moments of what it sees, `second` ones or
        means alone, and gives what each of the algorithms found. Layers for which all are known are
        not looked at again; what sees too much at once is left out.
        """
        assert self.layers_see is not None
        encodings, wanted = self.encodings, dict[str, Place]()
        plain, found = dict[str, Encoding](), dict[str, Tuned]()
        for name in chosen:
            layer, decision = self.layers[name]
            plain[name] = self.plain(layer, decision)
            place = self.known.place(layer, plain[name], encodings[layer.data])
            own = [self.known.get(one, place) for one in names]
            if None in own:
                wanted[name] = place
            elif own[0] is not None:
                found[name] = own[0]
        free = [layer for layer, _ in self.layers.values()]
        for layer, moments in collect(self.layers_see, free, wanted, encodings, second=second):
            for one, tuned in find(layer, plain[layer.name], moments).items():
                self.known.keep(one, wanted[layer.name], tuned)
                if one == names[0]:
                    found[layer.name] = tuned
        return found


FORMER_NAMES: Mapping[str, str] = {
    "channel-splitting": "ocs",
    "cross-layer-equalization": "cle",
    "learned-rounding": "adaround",
    "outlier-migration": "smoothquant",
    "second-order-rounding": "gptq",
    "sequential-reconstruction": "gptaq",
}
"""Names that the YAML may still give, for this version."""

Algorithm = Callable[[Study], Study | None]
_ALGORITHMS: dict[str, tuple[Stage, Algorithm]] = {}


def register(name: str, stage: Stage) -> Callable[[Algorithm], Algorithm]:
    """Makes an algorithm known under `name`."""

    def keep(run: Algorithm) -> Algorithm:
        _ALGORITHMS[name] = (stage, run)
        return run

    return keep


def algorithm_names() -> tuple[str, ...]:
    """Names of all algorithms in the order in which they run."""
    package = importlib.import_module(__package__ or "")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return tuple(sorted(_ALGORITHMS, key=lambda name: (_ALGORITHMS[name][0], name)))


def algorithm(name: str) -> Algorithm:
    """The algorithm of a name.

    Raises:
        ConfigError: there is none of that name.
    """
    names = algorithm_names()
    if name not in names:
        raise ConfigError(
            f"There is no algorithm '{name}'.",
            where="quantize.algorithms",
            hint=did_you_mean(name, names, f"There are: {', '.join(names)}."),
        )
    return _ALGORITHMS[name][1]


def stage_of(name: str) -> Stage:
    """What a known algorithm changes."""
    return _ALGORITHMS[name][0]


def in_order(names: Sequence[str]) -> list[str]:
    """Algorithms in the order in which they have to run; within a stage as given.

    Raises:
        ConfigError: as `algorithm`.
    """
    for name in names:
        algorithm(name)
    return sorted(names, key=lambda name: _ALGORITHMS[name][0])
