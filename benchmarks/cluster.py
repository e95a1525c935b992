"""Two workers of a Dask cluster against one, in one run; the same values; a worker that is killed.

    python benchmarks/cluster.py [MODEL.onnx] [--samples 500] [--trials 0] [--device qcs9075]

MODEL is a Q/DQ model with fixed shapes; a convolutional network of this file's own where not given.
Workers are processes of `dask worker` on this machine, with one task at once and one processor each
(a single worker would take all of them otherwise). Printed:

1. `simulation`: seconds of all samples with one worker and with two, in turn, and their ratio, with
   the workers' start left out; the processor seconds of each worker, and the ratio that their
   balance allows: what one worker took, over the most that one of two took. On a machine whose
   processors have other work the first ratio says little and the second still holds.
2. `same`: whether every output is bit for bit that of the simulation without a cluster.
3. `killed`: the same with two workers of which one is killed in the middle: which was told, and
   whether the outputs are the same.
4. With `--trials N`: a search of N points on that network with one worker and with two, likewise;
   and whether the points have the same estimates and losses.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import onnx
import psutil
from onnx import TensorProto, helper, numpy_helper

import snapq
from snapq.cluster.current import connected
from snapq.cluster.local import local_workers
from snapq.devices.profiles import DeviceProfile, find
from snapq.npu.model import Model
from snapq.runtime import PROCESSORS_VARIABLE
from snapq.stages.artifact import computing

SIZE, CHANNELS, LAYERS = 96, 32, 4
DEPLOY = """\
name: cluster
model: {path: net.onnx}
devices: [%s]
data:
  calibration: {arrays: samples.npz, samples: 16}
  evaluation: {arrays: samples.npz}
stages:
  - quantize: {preset: fast}
  - package: {golden_samples: 1, optimization_modes: [1], thin_strides: false}
search:
  stages.quantize.per_channel: [true, false]
  stages.quantize.observer: [min-max, percentile, mse, entropy]
  stages.quantize.activations: [uint8, uint16]
"""

Outputs = list[dict[str, np.ndarray]]


@dataclass(frozen=True)
class Cost:
    """Seconds, and processor seconds of each worker."""

    wall: float
    processor: tuple[float, ...]

    def __str__(self) -> str:
        each = ", ".join(f"{value:.1f}" for value in self.processor)
        return f"{self.wall:7.1f} s  (processor seconds of the workers: {each})"


def network() -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    nodes, constants, before = [], [], "image"
    for index in range(LAYERS):
        inside = 3 if index == 0 else CHANNELS
        shape = (CHANNELS, inside, 3, 3)
        weights = rng.normal(0, (2 / (inside * 9)) ** 0.5, shape).astype(np.float32)
        constants.append(numpy_helper.from_array(weights, f"w{index}"))
        nodes += [
            helper.make_node(
                "Conv", [before, f"w{index}"], [f"c{index}"], f"conv{index}", pads=[1, 1, 1, 1]
            ),
            helper.make_node("Relu", [f"c{index}"], [f"r{index}"], f"relu{index}"),
        ]
        before = f"r{index}"
    nodes.append(helper.make_node("GlobalAveragePool", [before], ["mean"], "mean"))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIZE, SIZE])
    mean = helper.make_tensor_value_info("mean", TensorProto.FLOAT, [1, CHANNELS, 1, 1])
    graph = helper.make_graph(nodes, "net", [image], [mean], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def feeds(model: Path, count: int) -> Iterator[dict[str, np.ndarray]]:
    rng = np.random.default_rng(1)
    graph = onnx.load(str(model), load_external_data=False).graph
    held = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in held]
    for _ in range(count):
        yield {
            value.name: rng.normal(
                size=[dim.dim_value for dim in value.type.tensor_type.shape.dim]
            ).astype(np.float32)
            for value in inputs
        }


def _workers() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "worker" in child.cmdline()]


def processor_seconds() -> tuple[float, ...]:
    """Of each worker with all that it started and waited for."""
    found = []
    for child in _workers():
        total = 0.0
        for process in [child, *child.children(recursive=True)]:
            used = process.cpu_times()
            total += used.user + used.system + used.children_user + used.children_system
        found.append(total)
    return tuple(found)


def timed(workers: int, work: Callable[[str], object]) -> tuple[Cost, object]:
    """What `work` takes with so many workers, which run already."""
    with local_workers(workers) as scheduler:
        for place, worker in zip(sorted(os.sched_getaffinity(0)), _workers(), strict=False):
            worker.cpu_affinity([place])  # the simulator has threads of its own
        address = f"dask://{scheduler.partition('://')[2]}"
        with connected(address, computing, say) as cluster:
            while cluster.slots < workers:
                time.sleep(0.1)
        before, clock = processor_seconds(), time.perf_counter()
        result = work(address)
        wall = time.perf_counter() - clock
        used = processor_seconds()
    return Cost(wall, tuple(b - a for a, b in zip(before, used, strict=True))), result


def say(text: str) -> None:
    print(f"    {text}", flush=True)


def simulated(model: Path, device: DeviceProfile, count: int, address: str | None) -> Outputs:
    def run() -> Outputs:
        return list(Model(model, device).simulate(feeds(model, count)))

    if address is None:
        return run()
    with connected(address, computing, say):
        return run()


def same(one: Sequence[dict[str, np.ndarray]], other: Sequence[dict[str, np.ndarray]]) -> bool:
    return len(one) == len(other) and all(
        a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)
        for a, b in zip(one, other, strict=True)
    )


def told(name: str, one: Cost, two: Cost) -> None:
    balance = sum(one.processor) / max(two.processor)
    print(f"{name} with 1 worker  {one}")
    print(f"{name} with 2 workers {two}")
    print(f"{name}: {one.wall / two.wall:.2f} times as fast; by processor time {balance:.2f}")


def kill_one(after_s: float) -> None:
    """Kills the process of a worker in the middle of its work, as a machine would that fails."""
    time.sleep(after_s)
    for child in psutil.Process().children():
        if "worker" in child.cmdline():
            for process in child.children():
                if "resource_tracker" not in " ".join(process.cmdline()):
                    say(f"killing worker process {process.pid}")
                    process.kill()
                    return


def search_points(folder: Path, runs: str, trials: int, address: str) -> dict[str, object]:
    done = snapq.search(
        folder / "deploy.yaml",
        trials=trials,
        runs=folder / runs,
        seed=0,
        sampler="random",
        cluster=address,
    )
    return {str(sorted(one.choices.items())): (one.us, one.loss) for one in done.record.trials}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("--samples", type=int, default=500)
    parser.add_argument("--trials", type=int, default=0)
    parser.add_argument("--device", default="qcs9075")
    options = parser.parse_args()
    device = find(options.device)
    load = os.getloadavg()[0]
    os.environ[PROCESSORS_VARIABLE] = "1"
    print(f"{os.cpu_count()} processors, load {load:.1f} before this began")
    with tempfile.TemporaryDirectory(prefix="snapq-benchmark-") as name:
        folder = Path(name)
        onnx.save(network(), str(folder / "net.onnx"))
        data = list(feeds(folder / "net.onnx", 24))
        np.savez(folder / "samples.npz", image=np.concatenate([one["image"] for one in data]))
        (folder / "deploy.yaml").write_text(DEPLOY % options.device)
        model = options.model
        if model is None:
            model = folder / "w8a8.onnx"
            snapq.quantize(
                folder / "net.onnx",
                folder / "samples.npz",
                preset="fast",
                devices=(options.device,),
                output=model,
            )
        simulations(model, device, options.samples)
        if options.trials:
            searches(folder, options.trials)


def simulations(model: Path, device: DeviceProfile, count: int) -> None:
    one, first = timed(1, lambda address: simulated(model, device, count, address))
    two, second = timed(2, lambda address: simulated(model, device, count, address))
    told(f"simulation of {count} samples", one, two)
    alone = simulated(model, device, count, None)
    print(f"same: {same(alone, first) and same(alone, second)}")  # type: ignore[arg-type]

    def with_a_death(address: str) -> Outputs:
        threading.Thread(target=kill_one, args=(two.wall / 2,), daemon=True).start()
        return simulated(model, device, count, address)

    with local_workers(2) as scheduler:
        left = with_a_death(f"dask://{scheduler.partition('://')[2]}")
    print(f"killed: the same with one of two workers killed in the middle: {same(alone, left)}")


def searches(folder: Path, trials: int) -> None:
    one, first = timed(1, lambda address: search_points(folder, "one", trials, address))
    two, second = timed(2, lambda address: search_points(folder, "two", trials, address))
    told(f"search of {trials} trials", one, two)
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    # What is not simulated, as others win by the estimate, depends on who came before.
    common = [
        (first[key], second[key])
        for key in first.keys() & second.keys()
        if first[key][1] is not None and second[key][1] is not None
    ]
    equal = sum(one == other for one, other in common)
    print(f"same: {equal} of the {len(common)} points that both simulated")


if __name__ == "__main__":
    main()
