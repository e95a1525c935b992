"""Draws random small graphs, and finds those that the NPU computes otherwise than the CPU.

    python -m benchmarks.hunt --count 1000                  # 1,000 graphs of seed 0
    python -m benchmarks.hunt --seed 7 --only w8a16 fp16 --device sm8650
    python -m benchmarks.hunt --count 20000 --out hunt.jsonl --shrink
    python -m benchmarks.hunt --resume hunt.jsonl --count 20000    # goes on where it was
    python -m benchmarks.hunt --large --count 100           # of the shapes of networks' layers
    python -m benchmarks.hunt --graph 0:1234 --only w8a16 --device sm8650 --shrink

Each graph has two to five operators, and is prepared, quantized (`fast`) and simulated as snapq
does it; the reference is the given float model on ONNX Runtime's CPU provider. It disagrees where
an output's SQNR on the NPU is more than 6 dB below that of the CPU, which computes the same Q/DQ
model (for fp16 the float model with each result rounded to float16), below 40 dB, and also where
the CPU's results are off by some codes each. What `snapq run` would find and tell is `told`; what
is wrong beside other graphs in one model only is `beside`. Everything is simulated. Ctrl-C ends it
with the summary. It ends with 1 where something disagrees in silence or where snapq fails with an
internal error.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import numpy as np

from benchmarks.hunt import records, schemes
from benchmarks.hunt.attempt import Hunter, Outcome, Result
from benchmarks.hunt.draw import draw
from benchmarks.hunt.recipe import Recipe
from benchmarks.hunt.shrink import shrink
from benchmarks.hunt.snippet import snippet
from snapq.devices.profiles import DeviceProfile, find

DEVICES = ("qcs6490", "qcs9075", "sm8650", "sm8750", "sm8850")
"""One each of v68, v73, v75, v79 and v81."""
TOGETHER = 12
"""Graphs side by side in one model."""
SHRUNK = (Result.DISAGREES, Result.TOLD, Result.ALTERED, Result.INTERNAL, Result.LOW)
SHRUNK_A_KIND = 3
"""So many graphs end in the same small form; further ones that hold it are not made small."""


@dataclass
class Hunt:
    """One hunt: what is asked for, and what was found."""

    seed: int
    wanted: tuple[str, ...]
    devices: tuple[DeviceProfile, ...]
    shrinks: bool
    large: bool = False
    out: TextIO | None = None
    found: list[records.Record] = field(default_factory=list)
    _hunters: dict[tuple[str, str], Hunter] = field(default_factory=dict)
    _kinds: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def batch(self, indices: list[int]) -> None:
        """Graphs side by side, in the scheme and for the device that the first one draws."""
        scheme, device = self._choice(indices[0])
        recipes = [draw(self.seed, index, self.large) for index in indices]
        hunter = self._hunter(scheme, device)
        for index, recipe, outcome in zip(indices, recipes, hunter.attempt(recipes), strict=True):
            self._keep(f"{self.seed}:{index}", hunter, recipe, outcome)

    def close(self) -> None:
        """Ends the workers."""
        for hunter in self._hunters.values():
            hunter.close()

    def _choice(self, index: int) -> tuple[str, DeviceProfile]:
        rng = np.random.default_rng([self.seed, index // TOGETHER, 5])
        pairs = [
            (scheme, device)
            for scheme in self.wanted
            for device in self.devices
            if schemes.supported(scheme, device)
        ]
        if not pairs:
            sys.exit("None of the devices computes in any of the schemes.")
        # Schemes alike often, whatever devices have them.
        scheme = sorted({pair[0] for pair in pairs})[int(rng.integers(len({p[0] for p in pairs})))]
        fitting = [device for name, device in pairs if name == scheme]
        return scheme, fitting[int(rng.integers(len(fitting)))]

    def _hunter(self, scheme: str, device: DeviceProfile) -> Hunter:
        key = (scheme, device.name)
        if key not in self._hunters:
            for other in self._hunters.values():
                other.close()  # one worker at a time is alive
            self._hunters = {key: Hunter(device, scheme)}
        return self._hunters[key]

    def _keep(self, key: str, hunter: Hunter, recipe: Recipe, outcome: Outcome) -> None:
        smallest, kind = None, None
        if self.shrinks and outcome.result in SHRUNK:
            kind = self._known(hunter.scheme, recipe, outcome)
            smallest = None if kind else self._smallest(hunter, recipe, outcome)
        one = records.record(key, hunter.scheme, hunter.device.name, recipe, outcome)
        if smallest is not None:
            one |= {"smallest": smallest.to_json(), "kind": smallest.chain}
        elif kind is not None:
            one["kind"] = f"like {kind}"
        self.found.append(one)
        if self.out is not None:
            self.out.write(json.dumps(one) + "\n")
            self.out.flush()
        if outcome.result in records.UNWANTED:
            print(f"\r{_told(one, outcome, smallest or recipe)}", flush=True)

    def _known(self, scheme: str, recipe: Recipe, outcome: Outcome) -> str | None:
        """A small form that is in this graph, and that others shrank to often enough."""
        operators = {step.operator for step in recipe.steps}
        for (result, of, chain), count in self._kinds.items():
            same = (result, of) == (outcome.result, scheme)
            if same and count >= SHRUNK_A_KIND and operators.issuperset(chain.split(" > ")):
                return chain
        return None

    def _smallest(self, hunter: Hunter, recipe: Recipe, outcome: Outcome) -> Recipe:
        last = outcome.note.strip().splitlines()[-1:]

        def holds(candidate: Recipe) -> bool:
            (again,) = hunter.attempt([candidate])
            return again.result is outcome.result and again.note.strip().splitlines()[-1:] == last

        smallest = shrink(recipe, holds)
        self._kinds[outcome.result, hunter.scheme, smallest.chain] += 1
        return smallest


def _told(one: records.Record, outcome: Outcome, recipe: Recipe) -> str:
    """What was found, and the smallest form of it as Python."""
    worst = outcome.worst
    figures = f"{worst.npu_db:.1f} dB on the NPU, {worst.cpu_db:.1f} on the CPU" if worst else ""
    shown = outcome.note if outcome.result is Result.INTERNAL else snippet(recipe)
    return (
        f"{one['result']} {one['graph']} {one['scheme']} {one['device']}: {recipe.chain} "
        f"{figures}\n{shown}\n"
    )


def batches(first: int, count: int) -> Iterator[list[int]]:
    """Indices that go side by side; the same ones wherever a hunt begins."""
    index = first
    while index < count:
        end = min((index // TOGETHER + 1) * TOGETHER, count)
        yield list(range(index, end))
        index = end


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.hunt",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=600, help="graphs in all")
    parser.add_argument("--first", type=int, default=0, help="number of the first graph")
    parser.add_argument("--only", nargs="+", default=schemes.SCHEMES, choices=schemes.SCHEMES)
    parser.add_argument("--device", nargs="+", default=list(DEVICES))
    parser.add_argument("--out", type=Path, help="write every graph as one line of JSON")
    parser.add_argument("--resume", type=Path, help="go on with this file, to --count graphs")
    parser.add_argument("--shrink", action="store_true", help="make what is found small")
    parser.add_argument("--large", action="store_true", help="of the shapes of networks' layers")
    parser.add_argument("--graph", help="only this one, as SEED:NUMBER, alone")
    return parser.parse_args()


def main() -> None:
    """Hunts, and prints the summary."""
    arguments = _arguments()
    seed, first, count = arguments.seed, arguments.first, arguments.count
    if arguments.graph:
        seed, first = map(int, arguments.graph.split(":"))
        count = first + 1
    devices = tuple(find(name) for name in arguments.device)
    path = arguments.resume or arguments.out
    before = records.read(arguments.resume) if arguments.resume else []
    done = {one["graph"] for one in before}
    hunt = Hunt(
        seed, tuple(arguments.only), devices, arguments.shrink, arguments.large, found=before
    )
    if path is not None:
        whole = "".join(json.dumps(one) + "\n" for one in before)
        hunt.out = path.open("w")
        hunt.out.write(whole)
    started, new = time.monotonic(), 0
    try:
        for indices in batches(first, count):
            if all(f"{seed}:{index}" in done for index in indices):
                continue
            hunt.batch(indices)
            new += len(indices)
            rate = new / (time.monotonic() - started)
            print(
                f"\r{indices[-1] + 1} of {count}, {rate:.1f} graphs a second ", end="", flush=True
            )
    except KeyboardInterrupt:
        print("\nstopped", flush=True)
    finally:
        hunt.close()
        if hunt.out is not None:
            hunt.out.close()
    print("\n" + "\n".join(records.summary(hunt.found)))
    unwanted = any(one["result"] in records.UNWANTED for one in hunt.found)
    sys.exit(1 if unwanted else 0)


if __name__ == "__main__":
    main()
