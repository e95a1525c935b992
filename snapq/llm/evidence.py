"""What a quantized pair is worth: computed by the NPU's simulator, beside the float pair."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

from snapq.cpu import CpuModel
from snapq.devices.profiles import DeviceProfile
from snapq.errors import ModelError
from snapq.graph import io
from snapq.llm.files import DECODE, PREFILL, Folder
from snapq.llm.judge import Judged, all_rows, judge
from snapq.llm.speaker import Runner, Speaker
from snapq.npu import model as npu
from snapq.runtime import processors

__all__ = ["Evidence", "check_same_model", "on_cpu", "prove", "simulated"]


@dataclass(frozen=True)
class Evidence:
    """What was found on a device.

    Attributes:
        device: its name.
        judged: on the text.
        seconds: that the simulation took, with the compilation in front.
    """

    device: str
    judged: Judged
    seconds: float


def check_same_model(reference: Folder, given: Folder) -> None:
    """Raises `ModelError` where two folders are not of one model, or the reference is no float."""
    if reference.facts.cache is not None:
        raise ModelError(
            "The pair to compare with is quantized itself.",
            where=str(reference.path),
            hint="Give the folder that `snapq llm init` wrote.",
        )
    sizes = ("layers", "hidden", "heads", "kv_heads", "head_size", "vocabulary")
    for name in ("family", *sizes, "context", "prefill"):
        _same(reference, given, name)


def prove(
    reference: Folder,
    given: Folder,
    device: DeviceProfile,
    texts: Sequence[Sequence[int]],
    told: Callable[[str], None] = lambda _: None,
) -> Evidence:
    """Compares a quantized pair on a device's simulator with the float pair on the CPU.

    Args:
        reference: the float pair.
        given: the quantized pair.
        device: whose arithmetic to use.
        texts: passages of tokens.
        told: what is being done.

    Raises:
        QnnError: the graph does not compile, or a node does not run on the NPU.
    """
    rows = given.facts.prefill
    told("the float model")
    graph = all_rows(io.load(reference.path / PREFILL, limit=0))
    run = CpuModel(graph, threads=processors(), spin=False, prepack=False, optimize=False)
    wanted = Speaker(reference.facts.layout, run.run, run.run, rows)
    began = perf_counter()
    told(f"the simulator of {device.name}")
    model = npu.Model(all_rows(io.load(given.path / PREFILL)), device)
    with model.simulator() as simulate:
        found = Speaker(given.facts.layout, simulate, simulate, rows, given.facts.zeros)
        judged = judge(wanted, found, texts, rows)
    return Evidence(device.name, judged, perf_counter() - began)


def on_cpu(folder: Folder) -> Speaker:
    """A pair on this machine's CPU."""
    runs = [
        CpuModel(folder.path / name, threads=processors(), spin=False, prepack=False).run
        for name in (PREFILL, DECODE)
    ]
    facts = folder.facts
    return Speaker(facts.layout, runs[0], runs[1], facts.prefill, facts.zeros)


@contextmanager
def simulated(folder: Folder, device: DeviceProfile) -> Iterator[Speaker]:
    """A pair on the simulator of a device; each graph is compiled when it is first needed.

    Raises:
        QnnError: a graph does not compile, or a node does not run on the NPU.
    """
    facts = folder.facts
    graphs = [npu.Model(folder.path / name, device) for name in (PREFILL, DECODE)]
    with graphs[0].simulator() as first, graphs[1].simulator() as second:
        runs: tuple[Runner, Runner] = (first, second)
        yield Speaker(facts.layout, runs[0], runs[1], facts.prefill, facts.zeros)


def _same(reference: Folder, given: Folder, name: str) -> None:
    wanted, found = getattr(reference.facts, name), getattr(given.facts, name)
    if wanted != found:
        raise ModelError(
            f"`{name}` is {found}, and {wanted} of the float pair.",
            where=str(given.path),
            hint="Give the float pair that it was quantized from.",
        )
