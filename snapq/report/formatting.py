"""Numbers and names as text, the same in the HTML report and in the terminal.

Names come from models, folders and users, so none of them is trusted: `plain` makes invisible and
direction-changing characters visible before a name is shown anywhere.
"""

from __future__ import annotations

import math
from datetime import datetime

from snapq.metric_table import Unit, facts

MINUS = "\N{MINUS SIGN}"
_NOT_FINITE = {math.inf: "∞", -math.inf: f"{MINUS}∞"}


def plain(text: str, keep: str = "") -> str:
    r"""Returns `text` with control, direction and surrogate characters spelled out (`\x1b`).

    Those in `keep` are left alone.
    """
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or character in keep
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def shorten(text: str, length: int = 80) -> str:
    """Returns `text` with its middle left out where it has more than `length` characters."""
    if len(text) <= length:
        return text
    head = (length - 1) // 2
    return f"{text[:head]}…{text[len(text) - (length - 1 - head) :]}"


def number(value: float, digits: int = 3) -> str:
    """Returns `value` with `digits` significant digits, without an exponent for common sizes."""
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return _NOT_FINITE[value]
    if value == 0:
        return "0"
    text = f"{value:.{digits - 1}e}"
    exponent = int(text[text.index("e") + 1 :])
    if -4 <= exponent < 9:
        text = f"{value:,.{max(digits - 1 - exponent, 0)}f}"
    return text.replace("-", MINUS, 1) if value < 0 else text


def instructions(count: int) -> str:
    """Returns `64.3 million instructions`."""
    return f"{number(count / 1e6)} million instructions"


def integer(value: int) -> str:
    """Returns an integer with thousands separated."""
    return f"{value:,}".replace("-", MINUS)


def size(value: int) -> str:
    """Returns bytes as B, kB, MB or GB (powers of 1000)."""
    return _scaled(value, ("B", "kB", "MB", "GB"))


def count(value: int) -> str:
    """Returns a large count as k, M or G (MACs, parameters)."""
    return _scaled(value, ("", "k", "M", "G")).rstrip()


def _scaled(value: int, units: tuple[str, ...]) -> str:
    """Returns the value in the first unit in which it is below 1000."""
    if abs(value) < 1000:
        return f"{value} {units[0]}"
    last = len(units) - 1
    power = next((n for n in range(1, last) if abs(value) < 999.5 * 1000**n), last)
    return f"{number(value / 1000**power)} {units[power]}"


def microseconds(value: float) -> str:
    """Returns a time in µs, in ms from 1000 µs, in s from 1000 ms."""
    if not math.isfinite(value) or abs(value) < 999.5:
        return f"{number(value)} µs"
    if abs(value) < 999_500:
        return f"{number(value / 1e3)} ms"
    return f"{number(value / 1e6)} s"


def milliseconds(value: float) -> str:
    """Returns a time in ms as `microseconds` does."""
    return microseconds(value * 1e3)


def seconds(value: float) -> str:
    """Returns a duration in s, in minutes and seconds from 100 s."""
    if not math.isfinite(value) or value < 99.5:
        return f"{number(value, 2)} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s"


def decibels(value: float) -> str:
    """Returns a level in dB with one decimal; identical signals have ∞ dB."""
    if not math.isfinite(value):
        return "∞ dB (identical)" if value == math.inf else f"{number(value)} dB"
    return f"{value:.1f} dB".replace("-", MINUS)


def cosine(value: float) -> str:
    """Returns a cosine similarity with five decimals, cut so that only 1 reads as 1."""
    if not math.isfinite(value):
        return number(value)
    cut = math.floor(value * 1e5 + 1e-6) / 1e5
    return f"{cut:.5f}".replace("-", MINUS)


def ratio(value: float) -> str:
    """Returns a speed-up such as `4.44×`; below 1 it says that it is a slow-down."""
    return f"{number(value)}×{' (slow-down)' if value < 1 else ''}"


def interval(bounds: tuple[float, float]) -> str:
    """Returns the bounds of a speed-up: `95 % interval 4.2 to 4.6`."""
    return f"95 % interval {number(bounds[0])} to {number(bounds[1])}"


def share_of_instructions(fewer: float) -> str:
    """Returns `22.7 % of the instructions` for a baseline that takes `fewer` times as many."""
    return f"{number(100 / fewer)} % of the instructions"


def interval_of_instructions(bounds: tuple[float, float]) -> str:
    """Returns the bounds of such a share: `95 % interval 21 to 23 %`."""
    return f"95 % interval {number(100 / bounds[1])} to {number(100 / bounds[0])} %"


def metric_name(metric: str) -> str:
    """Returns the name under which readers know a metric."""
    found = facts(metric)
    return metric if found is None else metric.replace(metric.partition(" of ")[0], found.title, 1)


def metric_value(metric: str, value: float) -> str:
    """Returns a metric's value: per cent for rates, dB for PSNR and `dB`, otherwise 4 digits."""
    unit = _unit(metric)
    if unit is Unit.SHARE and math.isfinite(value):
        return f"{value * 100:.1f} %".replace("-", MINUS)
    return decibels(value) if unit is Unit.DECIBELS else number(value, 4)


def metric_change(metric: str, change: float) -> str:
    """Returns a metric's change with its sign and unit (`points` are hundredths of a rate)."""
    sign = "+" if change >= 0 else ""
    if _unit(metric) is Unit.SHARE and math.isfinite(change):
        return f"{sign}{change * 100:.1f} points".replace("-", MINUS)
    return f"{sign}{metric_value(metric, change)}"


def _unit(metric: str) -> Unit | None:
    if metric == "dB":
        return Unit.DECIBELS
    found = facts(metric)
    return found.unit if found is not None else None


def moment(iso: str) -> str:
    """Returns an ISO 8601 time as `2026-11-23 09:12 UTC`; other text stays as it is."""
    try:
        time = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    return f"{time:%Y-%m-%d %H:%M} {time.tzname() or ''}".rstrip()


def plural(amount: int, one: str, many: str | None = None) -> str:
    """Returns `1 node`, `2 nodes`."""
    return f"{integer(amount)} {one if amount == 1 else many or one + 's'}"


def join(words: tuple[str, ...] | list[str]) -> str:
    """Returns `a`, `a and b`, `a, b and c`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
