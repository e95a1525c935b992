"""What is known of single layers and tensors: cost, damage, encodings, sensitivity."""

from __future__ import annotations

from snapq.records.base import Origin, Record


class LayerRecord(Record):
    """One node: its cost, and the quantization error of its output."""

    name: str
    op_type: str
    output: str
    macs: int
    parameters: int
    bytes: int
    """Activations read and written plus parameters, at the float model's types."""
    sqnr_db: float | None = None
    where: Origin | None = None
    samples: int | None = None
    """How many samples the SQNR rests on."""
    us: float | None = None
    """Its share of the estimate of what is packaged, in microseconds; nodes that the NPU fuses
    count under one of their names."""
    timed_on: str | None = None
    """The device whose estimate that is."""
    reads: tuple[int, ...] = ()
    """Places, in the order of the layers, of those whose outputs it reads."""


class HistogramRecord(Record):
    """Counts of values between `low` and `high` in equal bins."""

    low: float
    high: float
    counts: tuple[int, ...]


class EncodingRecord(Record):
    """Encoding of one tensor."""

    tensor: str
    kind: str
    """`activation`, `weight`, `bias`."""
    dtype: str
    scale: tuple[float, ...]
    """One value, or one a channel (at most the first 16 are kept here; the bundle has all)."""
    zero_point: tuple[int, ...]
    axis: int | None
    channels: int
    minimum: float
    maximum: float
    histogram: HistogramRecord | None = None


class SensitivityRecord(Record):
    """What quantizing one node, or one tensor, alone costs at the model's outputs."""

    kind: str
    """`node`, `activation` or `weight`."""
    name: str
    op_type: str
    """Operator of the node, or of the one that gives the activation or reads the weight."""
    sqnr_db: float
    """Against the float model, at the output with the lowest SQNR, energies summed over samples."""
    where: Origin
    device: str | None
    samples: int
    cause: str | None = None
    us: float | None = None
    """The node's share of the model's estimate."""


class TradeoffRecord(Record):
    """One candidate of mixed precision: how good it is, and its estimated time."""

    label: str
    """`w8a8`, `w8a16`, `fp16`, `w8a8, 7 nodes at w8a16`."""
    to: str | None
    """The higher precision; None where no node has it."""
    nodes: tuple[str, ...]
    """Nodes in the higher precision; empty where all of the model has it."""
    narrow: tuple[str, ...] = ()
    """Nodes whose weights have 4 bits, as that is faster."""
    value: float
    unit: str
    """`dB` for output SQNR, or the name of the metric."""
    met: bool
    """Whether it keeps the budget."""
    chosen: bool
    where: Origin
    """`host` for candidates that another one ruled out; fp16 is computed in 32 bits there."""
    device: str | None
    samples: int
    us: float | None
    """Estimate of the accelerator's time; None where there is none."""
    estimated_on: str | None
    missing_ops: int = 0
    """Operators without a cost in the estimate, which is too low by them."""
    devices: tuple[str, ...] = ()
    """For which it was tried, where not for all."""
    refused: str | None = None
    """Why the NPU does not take it; it is no candidate then."""
