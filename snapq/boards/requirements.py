"""What a board lacks for its NPU and for the agent, and how to get it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from snapq.boards.environment import find, required
from snapq.boards.session.probe import BoardFacts
from snapq.devices.soc_numbers import SOC_NUMBERS

_MIN_MEMORY = 512 << 20
_CLOCK_SLACK_S = 24 * 3600


@dataclass(frozen=True)
class Requirement:
    """One thing that was checked."""

    name: str
    found: str
    ok: bool
    hint: str = ""


def check_requirements(facts: BoardFacts, now: float) -> tuple[Requirement, ...]:
    """Checks everything that a measurement on the NPU requires.

    Args:
        facts: what the board says of itself.
        now: seconds since 1970 by the host's clock.
    """
    return (*_npu(facts), *_agent(facts, now))


def _npu(facts: BoardFacts) -> Iterator[Requirement]:
    soc = facts.soc.get("machine") or facts.soc.get("soc_id")
    known = SOC_NUMBERS.get(facts.soc_id) if facts.soc_id is not None else None
    yield Requirement(
        "SoC",
        f"{soc}{f' ({known})' if known else ''}" if soc else "not reported (/sys/devices/soc0)",
        known is not None,
        "Name its device profile in boards.yaml: `profile:`; the kernel option QCOM_SOCINFO "
        "makes the board report it.",
    )
    yield Requirement(
        "processor",
        f"{facts.processor.model or facts.system.machine}, {facts.processor.cores} cores",
        facts.system.machine == "aarch64",
        "The NPU's libraries are for aarch64 boards.",
    )
    nodes = [node for node in facts.npu_nodes if "cdsp" in node.path or "adsprpc" in node.path]
    usable = [node for node in nodes if node.usable]
    shown = ", ".join(f"{node.path} {node.mode}" for node in nodes) or "none"
    hint = "Use a kernel with the fastrpc driver (QCOM_FASTRPC) and the board's device tree."
    if nodes:
        hint = (
            f"Let user {facts.system.user} open it: add the user to the group of "
            f"{nodes[0].path}, or write a udev rule for it."
        )
    yield Requirement("NPU device node", shown, bool(usable), hint)
    driver = facts.libraries.get("libcdsprpc.so")
    versioned = facts.libraries.get("libcdsprpc.so.1")
    link = "Install Qualcomm's fastrpc package (libfastrpc1)."
    if versioned:
        link = f"Make the name without a version: ln -s {versioned} {versioned[:-2]}"
    yield Requirement("libcdsprpc.so", driver or versioned or "missing", driver is not None, link)
    atomic = facts.libraries.get("libatomic.so.1")
    yield Requirement(
        "libatomic.so.1", atomic or "missing", atomic is not None, "apt install libatomic1"
    )


def _agent(facts: BoardFacts, now: float) -> Iterator[Requirement]:
    yield Requirement(
        "Python",
        f"{facts.python.version}, {facts.python.executable}",
        facts.python.numbers >= (3, 9),
        "Install Python 3.9 or later (3.11 for the newest onnxruntime).",
    )
    found = find(facts)
    wanted = ", ".join(f"{name} {version}" for name, version in required(facts).items())
    yield Requirement(
        "libraries",
        "missing" if found is None else found.path or "the board's own",
        found is not None,
        f"`snapq board setup` brings {wanted}; a benchmark does it by itself.",
    )
    yield Requirement(
        "free disk",
        f"{facts.disk.free / 1e6:,.0f} MB at {facts.disk.root}",
        facts.disk.writable and facts.disk.free > _MIN_MEMORY,
        "Free some space, and let the user write there.",
    )
    yield Requirement(
        "memory",
        f"{facts.memory.available / 1e6:,.0f} of {facts.memory.total / 1e6:,.0f} MB free",
        facts.memory.available > _MIN_MEMORY,
        "End other programs on the board.",
    )
    governors = ", ".join(facts.governors) or "not reported"
    yield Requirement(
        "CPU governor",
        governors,
        all(one == "performance" for one in facts.governors),
        "For steady figures: echo performance | sudo tee "
        "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
    )
    zones = facts.thermal_zones
    hottest = max(zones.values(), default=None)
    yield Requirement(
        "temperature",
        "not reported" if hottest is None else f"{len(zones)} zones, hottest {hottest:.0f} °C",
        hottest is None or hottest < 80,
        "Let the board cool down first.",
    )
    yield Requirement(
        "clock",
        datetime.fromtimestamp(min(max(facts.clock, 0), 4e9), UTC).strftime("%Y-%m-%d %H:%M UTC"),
        abs(facts.clock - now) < _CLOCK_SLACK_S,
        "Set it (sudo date -s …); results carry the host's time, so nothing depends on it.",
    )
