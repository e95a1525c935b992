"""Metrics on labelled samples: top-1, top-5, mean IoU, PSNR, and a function of the user's own.

A metric sees one sample after another and keeps a few numbers. Outputs are float as the float model
gives them; ties are broken for the lower class number, as numpy's argmax does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from snapq.errors import ConfigError, nearest
from snapq.evaluation.fidelity import Fidelity
from snapq.evaluation.functions import load_function
from snapq.evaluation.samples import Array, Label
from snapq.evaluation.scores import MeanIoU, Psnr, TopK, UserMetric

__all__ = ["Fidelity", "Metric", "metric", "metrics"]


class Metric(Protocol):
    """Takes outputs and label of one sample after another, and gives one number."""

    @property
    def name(self) -> str:
        """As in deploy.yaml: `top1`."""
        ...

    @property
    def samples(self) -> int:
        """Number of samples seen."""
        ...

    def update(self, outputs: Mapping[str, Array], label: Any, name: str | None = None) -> None:
        """Adds one sample.

        Args:
            outputs: the model's outputs by name, each of its own shape.
            label: of this sample.
            name: of this sample, for messages.

        Raises:
            DataError: the label does not fit the outputs.
        """
        ...

    def value(self) -> float:
        """The metric over all samples seen. Raises `DataError` where there are none."""
        ...


class OfOutput:
    """A metric of one output; of labels for several outputs it takes that output's."""

    def __init__(self, output: str, inner: Metric) -> None:
        self._output = output
        self._inner = inner

    @property
    def name(self) -> str:
        """Metric and output: `top1 of logits`."""
        return f"{self._inner.name} of {self._output}"

    @property
    def samples(self) -> int:
        """Number of samples seen."""
        return self._inner.samples

    def update(
        self,
        outputs: Mapping[str, Array],
        label: Label | Mapping[str, Label] | None,
        name: str | None = None,
    ) -> None:
        """Adds one sample; one without a label for this output is left out."""
        own = label.get(self._output) if isinstance(label, Mapping) else label
        if own is not None:
            self._inner.update({self._output: outputs[self._output]}, own, name)

    def value(self) -> float:
        """The metric over all samples seen."""
        return self._inner.value()


def metrics(named: str | Mapping[str, str] | None, base: Path | None = None) -> tuple[Metric, ...]:
    """Makes the metrics that deploy.yaml names: none, one, or one for each output.

    Raises:
        ConfigError: there is no such metric.
        DataError: the user's function cannot be imported.
    """
    if named is None:
        return ()
    if isinstance(named, str):
        return (metric(named, base),)
    return tuple(OfOutput(output, metric(name, base)) for output, name in named.items())


def metric(name: str, base: Path | None = None) -> Metric:
    """Makes a metric.

    Args:
        name: `top1`, `top5`, `miou`, `psnr`, or `module:function`.
        base: folder in which the module is looked for; the current one where it is not given.

    Raises:
        ConfigError: there is no such metric.
        DataError: the user's function cannot be imported.
    """
    if ":" in name:
        return UserMetric(name, load_function(name, base or Path.cwd()))
    known: dict[str, Callable[[], Metric]] = {
        "top1": lambda: TopK(1),
        "top5": lambda: TopK(5),
        "miou": MeanIoU,
        "psnr": Psnr,
    }
    if name not in known:
        match = nearest(name, known)
        raise ConfigError(
            f"There is no metric '{name}'.",
            where="metric",
            hint=f"Did you mean '{match}'?"
            if match
            else f"Use {', '.join(known)}, or `module:function` of your own.",
        )
    return known[name]()
