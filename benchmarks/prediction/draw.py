"""Predicted against measured, as an SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from benchmarks.prediction.table import Entry

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 300, 300, 46, 40, 24
_COLORS = {"convolutional": "#2f6db5", "transformer": "#c2571a"}
_OTHER = "#777777"
_GREY = "#888888"


def picture(found: Sequence[Entry]) -> str:
    """A panel for each fit: a dot a network, the line where both are equal, and the interval.

    A network's prediction is that of the fit without it.
    """
    width = len(found) * (_WIDTH + _LEFT + 14)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEIGHT + _BOTTOM + _TOP}" '
        f'font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{_HEIGHT + _BOTTOM + _TOP}" fill="white"/>',
    ]
    for index, entry in enumerate(found):
        parts.append(f'<g transform="translate({index * (_WIDTH + _LEFT + 14) + _LEFT} {_TOP})">')
        parts += [*_panel(entry), "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(entry: Entry) -> Iterator[str]:
    points = [
        (case, case.measured_us / ratio)
        for case, ratio in zip(entry.cases, entry.found.ratios, strict=True)
    ]
    values = [us for case, predicted in points for us in (case.measured_us, predicted)]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))

    def at(predicted: float, measured: float) -> tuple[float, float]:
        across, up = ((math.log10(us) - low) / (high - low) for us in (predicted, measured))
        return _WIDTH * min(max(across, 0), 1), _HEIGHT * (1 - min(max(up, 0), 1))

    yield f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="none" stroke="{_GREY}"/>'
    yield (
        f'<text x="{_WIDTH / 2}" y="-8" text-anchor="middle" font-weight="bold">'
        f"{entry.precision}, {len(points)} networks</text>"
    )
    least, most = 10.0**low, 10.0**high
    for ratio, dashes in ((1.0, ""), (entry.found.low, "4 3"), (entry.found.high, "4 3")):
        (x1, y1), (x2, y2) = at(least, least * ratio), at(most, most * ratio)
        yield (
            f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{_GREY}" '
            f'stroke-dasharray="{dashes}"/>'
        )
    for decade in range(low, high + 1):
        x, y = at(10.0**decade, 10.0**decade)
        text = f"{10.0 ** (decade - 3):g}"
        yield f'<text x="{x:.0f}" y="{_HEIGHT + 14}" text-anchor="middle">{text}</text>'
        yield f'<text x="-4" y="{y + 4:.0f}" text-anchor="end">{text}</text>'
    yield f'<text x="{_WIDTH / 2}" y="{_HEIGHT + 30}" text-anchor="middle">predicted, ms</text>'
    yield (
        f'<text transform="translate(-32 {_HEIGHT / 2}) rotate(-90)" text-anchor="middle">'
        "measured, ms</text>"
    )
    for case, predicted in points:
        x, y = at(predicted, case.measured_us)
        color = _COLORS.get(case.kind, _OTHER)
        title = f"{case.network}: {predicted / 1000:.3g} predicted, "
        title += f"{case.measured_us / 1000:.3g} measured"
        yield (
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{color}" fill-opacity="0.75">'
            f"<title>{escape(title)}</title></circle>"
        )
        if not entry.found.low / 1.25 <= case.measured_us / predicted <= entry.found.high * 1.25:
            yield f'<text x="{x + 5:.1f}" y="{y - 4:.1f}" font-size="9">{case.network}</text>'
