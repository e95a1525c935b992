"""`gates`: the limits of a run. A limit is one for all, or a mapping with one for each name."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from snapq.config.schema.base import Strict

NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class Percentiles(Strict):
    """A limit for each percentile of the measured latency, in milliseconds."""

    p50: Positive | None = None
    """The median."""
    p90: Positive | None = None
    """Nine of ten runs take no longer."""
    p95: Positive | None = None
    """19 of 20 runs take no longer."""
    p99: Positive | None = None
    """99 of 100 runs take no longer."""
    max: Positive | None = None
    """The longest run."""

    @model_validator(mode="after")
    def _one_at_least(self) -> Percentiles:
        if not self.given:
            raise ValueError(f"Give at least one of {', '.join(type(self).model_fields)}.")
        return self

    @property
    def given(self) -> dict[str, float]:
        """The limits that are given."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: value for name, value in values.items() if value is not None}


class Gates(Strict):
    """Limits of a run; a gate that fails, or finds no figure, ends the run with exit code 1.

    `{NAME: LIMIT}` in the place of a number judges each device or output by a limit of its own.
    """

    max_accuracy_drop: (
        NotNegative | Annotated[dict[str, NotNegative], Field(min_length=1)] | None
    ) = None
    """Float metric minus simulated metric, in the metric's own unit; by output or device too."""
    min_sqnr_db: float | Annotated[dict[str, float], Field(min_length=1)] | None = None
    """Lowest mean output SQNR of the simulated package against the float model, in dB; boxes and
    scores of one output, and other channels of very different range, count each by themselves. By
    output or device too. Where this is not given, one that holds a single value where float has
    several fails, and one with less than 10 dB over all samples together where no stage prunes or
    trains the network."""
    min_equal_answers: Share | Annotated[dict[str, Share], Field(min_length=1)] | None = None
    """Of a tree ensemble, SVM or linear model: lowest share of rows with the label that ONNX
    Runtime gives, ties of scores within 1e-6 aside; of a regression, 1 minus the largest error by
    the range of values, where errors up to 1e-5 of it count as none. By output or device too. Where
    this is not given, less than 0.99 of labels or 0.97 of values fails what runs at fp16 or
    w8a16."""
    npu_nodes: (
        Literal["all"]
        | Share
        | Annotated[dict[str, Literal["all"] | Share], Field(min_length=1)]
        | None
    ) = None
    """`all`, or the lowest share of nodes on the NPU; by device too, where others keep `all`."""
    npu_matches_cpu: bool | None = None
    """Whether a run fails where the NPU computes wrongly what the CPU computes of the same model,
    beyond rounding. It does where this is not given; `true` shows the gate also where it passes."""
    min_predicted_speedup: Positive | Annotated[dict[str, Positive], Field(min_length=1)] | None = (
        None
    )
    """Predicted latency of the fastest fp16 form over that of the package, same board: medians. By
    device too; of all devices, those count for which there is a prediction, where there are
    some."""
    max_predicted_ms: Positive | Annotated[dict[str, Positive], Field(min_length=1)] | None = None
    """Longest predicted latency of the package on a board, in milliseconds: of the median; what is
    found names the 80 % interval. By device too; a device without a prediction fails."""
    min_estimated_speedup: Positive | Annotated[dict[str, Positive], Field(min_length=1)] | None = (
        None
    )
    """Estimate of the model at fp16, as given or prepared, whichever is faster, over the estimate
    of the package, same device. By device too."""
    max_estimated_us: Positive | Annotated[dict[str, Positive], Field(min_length=1)] | None = None
    """Longest estimate of a call of the package, in microseconds of accelerator time. By device
    too; of all devices, those with an estimate of their own count, where there are some."""
    max_latency_ms: Positive | Percentiles | None = None
    """Longest latency of the package as measured on `benchmark.target`, in milliseconds: of the
    median, or `{p50: 8, p99: 12}`."""
    max_instructions: Annotated[int, Field(gt=0)] | None = None
    """Most instructions of an inference of the package, as an emulated board (`target: qemu`)
    counts them."""
    max_bundle_mb: Positive | None = None
    """Largest bundle, all files together, in MB (1,000,000 bytes)."""
    max_compiled_mb: Positive | Annotated[dict[str, Positive], Field(min_length=1)] | None = None
    """Largest size of what is compiled for a device, in MB. By device too."""
