"""One compilation on a worker of a cluster: the model goes there, what was written comes back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from snapq.cluster.bench import Bench
from snapq.cluster.connection import Cluster
from snapq.devices.profiles import DeviceProfile
from snapq.npu.judged.rewrites import Form
from snapq.npu.qnn import model_files, workers
from snapq.npu.qnn.on_cluster import Packed, lay_out, pack
from snapq.npu.qnn.options import Variants

__all__ = ["Compile", "Wanted", "compile_there"]

T = TypeVar("T")


@dataclass(frozen=True)
class Wanted:
    """What is to be compiled; as the arguments of `npu.Model` and of its `compile`."""

    device: DeviceProfile
    variants: Variants
    label: str
    embed: bool
    allow_cpu: bool
    form: Form | None


Compile = Callable[[Path, Wanted, Path], T]
"""Compiles a model file into a folder; a function of a module, found by its name."""


def compile_there(
    cluster: Cluster, function: Compile[T], model: Path, wanted: Wanted, folder: Path
) -> T:
    """Has a worker compile `model`, and puts what it wrote into `folder`.

    Raises:
        SnapqError: what `function` raised there.
    """
    packed = pack(cluster, model_files.read(model))
    found: T = cluster.run(_compile, function, packed, wanted, files=packed.contents, folder=folder)
    return found


def _compile(bench: Bench, function: Compile[T], model: Packed, wanted: Wanted) -> T:
    """On the worker: in a process of its own, which ends with all that it started."""
    out = bench.folder() / "out"
    staged = lay_out(bench, model, bench.folder() / "model")
    found = bench.owns(workers.Worker()).call(function, staged, wanted, out)
    for path in sorted(out.rglob("*")):
        if path.is_file():
            bench.keep(path.relative_to(out).as_posix(), path)
    return found
