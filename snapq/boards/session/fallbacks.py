"""Where a model ran and why there: the fallback chain in words."""

from __future__ import annotations

from collections.abc import Sequence

from snapq.boards.session.answers import Fallback
from snapq.boards.session.load import Load
from snapq.errors import DeviceError
from snapq.npu.runtime import explain, lookup
from snapq.records.bench import BenchSkipped

CPU = "cpu"
_INCOMPLETE = (
    "The libraries on the board are not complete: `snapq board clean` removes them, and the next "
    "benchmark brings them anew."
)


def skipped(load: Load, said: Sequence[Fallback]) -> tuple[BenchSkipped, ...]:
    """The fallbacks that were not taken, in the order in which they are tried."""
    return (
        *(BenchSkipped(fallback=fallback, reason=reason) for fallback, reason in load.skipped),
        *(explained(one.fallback, one.reason, one.log) for one in said),
    )


def explained(fallback: str, reason: str, log: str) -> BenchSkipped:
    """Why a fallback was not taken, in the error catalogue's words where it knows the reason."""
    if "No module named" in reason:
        return BenchSkipped(fallback=fallback, reason=_sentence(reason), hint=_INCOMPLETE)
    entry = lookup(reason, log=log)
    if entry is None:
        return BenchSkipped(fallback=fallback, reason=_sentence(reason))
    said = explain(reason, log=log).what
    return BenchSkipped(
        fallback=fallback, reason=_sentence(entry.cause), hint=entry.hint, said=said
    )


def headline(label: str, target: str, fallback: str, passed: Sequence[BenchSkipped]) -> str:
    """Where a model ran and why, in one line."""
    where = "the CPU" if fallback == CPU else f"the NPU ({fallback})"
    text = f"{label} ran on {where} of {target}"
    return f"{text}. {_reasons(passed)}" if passed else f"{text}."


def exhausted(load: Load, said: Sequence[Fallback], address: str) -> DeviceError:
    """What to say where a model runs on none of the fallbacks that are allowed."""
    passed = skipped(load, said)
    hints = list(dict.fromkeys(one.hint for one in passed if one.hint))
    if not load.is_bundle:
        hints.append("To compare with the model on the CPU: benchmark.baseline: float32.")
    elif CPU not in {fallback.name for fallback in load.fallbacks}:
        hints.append(
            "To let it run on the CPU instead: benchmark.allow: [npu, cpu], or --allow npu "
            "--allow cpu."
        )
    hints.append("`snapq devices probe` says what the board lacks.")
    return DeviceError(
        f"{load.label} does not run there. {_reasons(passed)}", where=address, hint=" ".join(hints)
    )


def _reasons(passed: Sequence[BenchSkipped]) -> str:
    """Each reason once, with the fallbacks that it kept away."""
    fallbacks: dict[str, list[str]] = {}
    for one in passed:
        fallbacks.setdefault(one.reason, []).append(one.fallback)
    return " ".join(f"No {' or '.join(names)}: {reason}" for reason, names in fallbacks.items())


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."
