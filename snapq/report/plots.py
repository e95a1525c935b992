"""The plots of the report: plotly figures as JSON, and plotly.js packed to travel in the page.

plotly.js is 4.8 MB; packed it is 1.5 MB, and the page unpacks it only when a plot comes into view,
so a phone opens the report at once. The figures carry no colours: the page's style sheet has
them, for light and dark.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from snapq.records import EncodingRecord, LayerRecord
from snapq.report import formatting as fmt

LOWEST = 5
_LABEL_LENGTH = 60


@dataclass(frozen=True)
class PackedScript:
    """A script that the page unpacks: base64 of its gzip, and its hash for the page's policy."""

    data: str
    csp_hash: str


def csp_hash(script: str) -> str:
    """Returns the hash by which a Content-Security-Policy allows an inline script."""
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def pack(text: str) -> str:
    """Returns base64 of gzip of `text`, the same bytes every time."""
    packed = gzip.compress(text.encode("utf-8"), compresslevel=9, mtime=0)
    return base64.b64encode(packed).decode("ascii")


@cache
def plotly_script() -> PackedScript:
    """Returns plotly.js of the installed plotly."""
    from plotly.offline import get_plotlyjs

    script = get_plotlyjs().replace("\r\n", "\n")
    return PackedScript(data=pack(script), csp_hash=csp_hash(script))


def with_sqnr(layers: Sequence[LayerRecord]) -> list[tuple[int, LayerRecord, float]]:
    """Layers with a finite SQNR: index among all layers, layer, dB."""
    return [
        (index, layer, layer.sqnr_db)
        for index, layer in enumerate(layers)
        if layer.sqnr_db is not None and math.isfinite(layer.sqnr_db)
    ]


def lowest(layers: Sequence[LayerRecord]) -> list[tuple[int, LayerRecord, float]]:
    """The layers most sensitive to quantization, lowest SQNR first."""
    return sorted(with_sqnr(layers), key=lambda item: item[2])[:LOWEST]


def sqnr_figure(layers: Sequence[LayerRecord]) -> dict[str, Any] | None:
    """Returns a scatter of SQNR by layer; a point's area grows with the layer's MACs.

    None where no layer has a finite SQNR. `customdata` of a point is the layer's index.
    """
    points = with_sqnr(layers)
    if not points:
        return None
    import plotly.graph_objects as go

    worst = {index for index, _, _ in lowest(layers)}
    most = max(layer.macs for _, layer, _ in points) or 1
    figure = go.Figure(layout={"template": "none"})
    groups = {
        "layers": [point for point in points if point[0] not in worst],
        f"lowest {len(worst)}": [point for point in points if point[0] in worst],
    }
    for name, group in groups.items():
        figure.add_scatter(
            name=name,
            mode="markers",
            x=[index + 1 for index, _, _ in group],
            y=[round(sqnr, 2) for _, _, sqnr in group],
            customdata=[index for index, _, _ in group],
            hovertext=[_label(layer, sqnr) for _, layer, sqnr in group],
            hoverinfo="text",
            marker={"size": [round(6 + 14 * math.sqrt(x.macs / most), 1) for _, x, _ in group]},
        )
    figure.update_layout(
        xaxis={"title": {"text": "layer, in the model's order"}},
        yaxis={"title": {"text": "SQNR in dB"}},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        margin={"l": 52, "r": 8, "t": 30, "b": 44},
    )
    made = json.loads(figure.to_json())
    made["layout"].pop("template", None)
    return {"data": made["data"], "layout": made["layout"]}


def histogram_data(encodings: Sequence[EncodingRecord]) -> list[list[Any] | None]:
    """Returns `[low, high, counts]` of each tensor that has a finite histogram, in order."""
    return [
        [found.low, found.high, list(found.counts)]
        if (found := item.histogram) is not None
        and found.counts
        and math.isfinite(found.low)
        and math.isfinite(found.high)
        else None
        for item in encodings
    ]


def _label(layer: LayerRecord, sqnr: float) -> str:
    """Hover text; plotly reads markup in it, so a name's own markup is escaped."""
    name = html.escape(fmt.shorten(fmt.plain(layer.name), _LABEL_LENGTH))
    where = f", {layer.where}" if layer.where else ""
    return (
        f"<b>{name}</b><br>{html.escape(fmt.plain(layer.op_type))}<br>"
        f"SQNR {fmt.decibels(sqnr)}{where}<br>{fmt.count(layer.macs)} MACs"
    )
