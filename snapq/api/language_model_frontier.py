"""`llm_frontier`: what mixes of weights of 8 and 4 bits cost and gain."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from snapq.api.language_model_folders import opened_pair
from snapq.api.language_model_results import FrontierPoint
from snapq.api.public import public
from snapq.errors import ModelError
from snapq.precision import PairPrecision
from snapq.progress import Progress, Silent

if TYPE_CHECKING:
    from snapq.llm.frontier import Point

__all__ = ["llm_frontier"]


@public
def llm_frontier(
    folder: str | Path,
    text: str | Path,
    evaluation: str | Path,
    device: str,
    *,
    eight_bits: Sequence[Sequence[str]] = (),
    tokens: int = 1024,
    evaluation_tokens: int = 256,
    progress: Progress | None = None,
) -> tuple[FrontierPoint, ...]:
    """Quantizes a float pair in several mixes: what a token takes, and how near to float it is.

    Times are Qualcomm's estimates; perplexity and agreement are of the quantized graph on this
    machine's CPU, which takes a fraction of what the simulator does. Nothing is written: quantize
    with `eight_bits` of the mix that you like, and evaluate that.

    Args:
        folder: what `llm_init` wrote.
        text: a file of UTF-8 text that calibrates.
        evaluation: another text, which judges.
        device: whose time to estimate.
        eight_bits: the mixes of w4a16 to try beside w8a16: of each the parts and layers that keep 8
            bits, as `llm_quantize` takes them; five mixes where none is given.
        tokens: use at most so many of the calibration text's.
        evaluation_tokens: use at most so many of the other's.
        progress: progress reporter; nothing is shown where not given.

    Raises:
        ConfigError: a part is unknown.
        DataError: a text is too short or no text.
        DeviceError: the device is unknown.
        ModelError: the folder is none, or is quantized already.
        QnnError: a graph does not compile, or a node does not run on the NPU.
    """
    from snapq.devices.profiles import find
    from snapq.llm.calibration import calibration_texts, read_passages
    from snapq.llm.frontier import MIXES, Mix, frontier, on_frontier
    from snapq.llm.wide import wide_parts

    profile = find(device)
    opened, words = opened_pair(folder)
    if opened.facts.cache is not None:
        raise ModelError(
            "The pair is quantized already.",
            where=str(opened.path),
            hint="Give the folder that `snapq llm init` wrote.",
        )
    layers, small = opened.facts.layers, PairPrecision.W4A16
    given = [Mix(small, wide_parts(parts, small, layers, "eight_bits")) for parts in eight_bits]
    texts = calibration_texts(opened, words, Path(text), tokens)
    held_out = read_passages(opened.facts.context, words, Path(evaluation), evaluation_tokens)
    told = (progress or Silent()).say
    mixes = (MIXES[0], *given) if given else MIXES
    found = on_frontier(tuple(frontier(opened, texts, held_out, profile, mixes, told)))
    return tuple(map(_shown, found))


def _shown(point: Point) -> FrontierPoint:
    judged, decode = point.judged, point.decode
    return FrontierPoint(
        precision=point.mix.precision.value,
        eight_bits=point.mix.wide,
        device=decode.device,
        estimated_on=decode.estimated_on,
        decode_us=decode.us,
        missing_ops=decode.missing_ops,
        ddr_bytes=sum(decode.ddr_bytes.values()),
        tokens=judged.tokens,
        float_perplexity=judged.float_perplexity,
        perplexity=judged.perplexity,
        agreement=judged.agreement,
        sqnr_db=judged.sqnr_db,
        best=point.best,
    )
