"""What weights of 4 bits cost and gain: one pair in several mixes of 8 and 4 bits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import onnx_ir as ir

from snapq.cpu import CpuModel
from snapq.devices.profiles import DeviceProfile
from snapq.graph import io
from snapq.llm.calibration import target_of
from snapq.llm.files import PREFILL, Folder
from snapq.llm.judge import Judged, all_rows, judge
from snapq.llm.quantize import QuantizedPair, quantize_pair
from snapq.llm.speaker import Speaker
from snapq.llm.wide import HEAD, WIDE
from snapq.npu import model as npu
from snapq.precision import PairPrecision
from snapq.records import EstimateRecord
from snapq.runtime import processors

__all__ = ["MIXES", "Mix", "Point", "frontier", "on_frontier"]


@dataclass(frozen=True)
class Mix:
    """Which weights have how many bits.

    Attributes:
        precision: of the pair.
        wide: at w4a16, which parts and layers have 8 bits.
    """

    precision: PairPrecision
    wide: tuple[str, ...] = ()


MIXES = (
    Mix(PairPrecision.W8A16),
    Mix(PairPrecision.W4A16, WIDE),
    Mix(PairPrecision.W4A16, ("v", "o", HEAD)),
    Mix(PairPrecision.W4A16, ("down", HEAD)),
    Mix(PairPrecision.W4A16, (HEAD,)),
    Mix(PairPrecision.W4A16),
)
"""Those that are tried where none are named."""


@dataclass(frozen=True)
class Point:
    """What was found of one mix.

    Attributes:
        mix: which.
        judged: the quantized prefill graph beside float on a text, on the CPU.
        decode: the estimate of a token.
        best: whether no other is as fast and as near to float.
    """

    mix: Mix
    judged: Judged
    decode: EstimateRecord
    best: bool = False


def frontier(
    folder: Folder,
    texts: Sequence[Sequence[int]],
    held_out: Sequence[Sequence[int]],
    device: DeviceProfile,
    mixes: Sequence[Mix] = MIXES,
    told: Callable[[str], None] = lambda _: None,
) -> Iterator[Point]:
    """Quantizes a float pair in each mix, judges it on the CPU, and estimates a token.

    Args:
        folder: of the float pair.
        texts: passages of tokens that calibrate.
        held_out: passages that judge.
        device: what the time is of.
        mixes: to try.
        told: what is being done.

    Yields:
        A point for each mix, in their order, none marked as best yet.

    Raises:
        DataError: an activation is not finite.
        QnnError: a graph does not compile, or a node does not run on the NPU.
    """
    for mix in mixes:
        parts = f" with 8 bits in {', '.join(mix.wide)}" if mix.wide else ""
        told(f"{mix.precision}{parts}")
        yield _point(folder, texts, held_out, device, mix)


def on_frontier(points: Sequence[Point]) -> list[Point]:
    """The points, with those marked that no other one beats in time and perplexity both."""

    def beaten(one: Point) -> bool:
        cost = (one.decode.us, one.judged.perplexity)
        others = ((other.decode.us, other.judged.perplexity) for other in points)
        return any(
            us <= cost[0] and found <= cost[1] and (us, found) != cost for us, found in others
        )

    return [replace(one, best=not beaten(one)) for one in points]


def _point(
    folder: Folder,
    texts: Sequence[Sequence[int]],
    held_out: Sequence[Sequence[int]],
    device: DeviceProfile,
    mix: Mix,
) -> Point:
    """One mix; the pair is gone from memory behind it."""
    target = target_of([device])
    pair = quantize_pair(folder, texts, target, precision=mix.precision, wide=mix.wide)
    judged = _judged(folder, pair, held_out)
    return Point(mix, judged, npu.Model(pair.decode, device).estimate("decode"))


def _judged(folder: Folder, pair: QuantizedPair, held_out: Sequence[Sequence[int]]) -> Judged:
    facts = folder.facts
    zeros = {name: int(held.zero_point) for name, held in pair.cache.items()}
    wanted = _speaker(io.load(folder.path / PREFILL, limit=0), folder, None)
    return judge(wanted, _speaker(pair.prefill, folder, zeros), held_out, facts.prefill)


def _speaker(model: ir.Model, folder: Folder, zeros: dict[str, int] | None) -> Speaker:
    """The prefill graph alone, with all of its rows, each node as it is written."""
    run = CpuModel(
        all_rows(model), threads=processors(), spin=False, prepack=False, optimize=False
    ).run
    return Speaker(folder.facts.layout, run, run, folder.facts.prefill, zeros)
