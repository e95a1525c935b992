"""Where the time goes and what it costs: layers as areas of their time, and the graph of them.

Both are coloured by SQNR; a press on a layer leads to its row in the table. They hold so many nodes
as a browser draws at once without effort.
"""

from __future__ import annotations

import html
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from snapq.records import LayerRecord, RunRecord
from snapq.report import formatting as fmt

MOST_AREAS = 400
"""Layers that take the most time have areas of their own; the others of an operator share one."""
MOST_NODES = 4000
_LABEL_LENGTH = 60
_LANES = 40
_SQNR = {"cmin": 10, "cmax": 50, "colorbar": {"title": {"text": "SQNR, dB"}, "thickness": 12}}


def shown_sqnr(layers: Sequence[LayerRecord]) -> list[tuple[float | None, int]]:
    """The SQNR to show with each layer, and the place of the layer whose it is.

    A layer that the NPU computes as one with its only reader, such as a Conv with its Relu, has no
    output of its own there: its SQNR is that of the reader.
    """
    readers: dict[int, list[int]] = {}
    for place, layer in enumerate(layers):
        for read in layer.reads:
            readers.setdefault(read, []).append(place)

    def found(place: int) -> tuple[float | None, int]:
        at = place
        while layers[at].sqnr_db is None:
            following = readers.get(at, [])
            if len(following) != 1 or following[0] <= at or layers[following[0]].us:
                return None, place
            at = following[0]
        return layers[at].sqnr_db, at

    return [found(place) for place in range(len(layers))]


def _with_shown_sqnr(layers: Sequence[LayerRecord]) -> list[LayerRecord]:
    shown = zip(layers, shown_sqnr(layers), strict=True)
    return [layer.model_copy(update={"sqnr_db": sqnr}) for layer, (sqnr, _) in shown]


def time_figure(layers: Sequence[LayerRecord]) -> dict[str, Any] | None:
    """A treemap: an area for each layer, as large as its share of the estimate.

    None where no layer has a share.
    """
    shown = _with_shown_sqnr(layers)
    timed = [(place, layer, layer.us) for place, layer in enumerate(shown) if layer.us]
    if not timed:
        return None
    import plotly.graph_objects as go

    timed.sort(key=lambda item: -item[2])
    ids, labels, parents, values, colors, places, texts = zip(*_areas(timed), strict=True)
    trace = go.Treemap(
        ids=ids,
        labels=labels,
        parents=parents,
        values=values,
        branchvalues="total",
        customdata=places,
        hovertext=texts,
        hoverinfo="text",
        textinfo="label",
        marker={"colors": colors, **_SQNR},
        tiling={"pad": 1},
        pathbar={"visible": False},
    )
    return _made(go.Figure(trace), margin={"l": 4, "r": 4, "t": 8, "b": 4})


def _areas(timed: Sequence[tuple[int, LayerRecord, float]]) -> Iterator[tuple[Any, ...]]:
    """Operators, and the layers in each: id, label, parent, time, SQNR, place, hover text."""
    groups: dict[str, list[tuple[int, LayerRecord, float]]] = {}
    for item in timed:
        groups.setdefault(item[1].op_type, []).append(item)
    own = {place for place, _, _ in timed[:MOST_AREAS]}
    for operator, items in groups.items():
        name = html.escape(fmt.plain(operator))
        total = sum(us for _, _, us in items)
        whole = f"<b>{name}</b><br>{fmt.plural(len(items), 'layer')}, {fmt.microseconds(total)}"
        title = f"{name}, {fmt.microseconds(total)}"
        yield f"op {operator}", title, "", total, _mean(items), None, whole
        rest = [item for item in items if item[0] not in own]
        for place, layer, us in items:
            if place in own:
                label = html.escape(fmt.shorten(fmt.plain(layer.name), 30))
                color = _finite(layer.sqnr_db)
                yield str(place), label, f"op {operator}", us, color, place, describe(layer)
        if rest:
            spent = sum(us for _, _, us in rest)
            text = f"{fmt.plural(len(rest), 'further layer')}, {fmt.microseconds(spent)}"
            yield f"rest {operator}", text, f"op {operator}", spent, math.nan, None, text


def _mean(items: Sequence[tuple[int, LayerRecord, float]]) -> float:
    """The mean SQNR of layers, each as much as its time."""
    known = [
        (layer.sqnr_db, us) for _, layer, us in items if not math.isnan(_finite(layer.sqnr_db))
    ]
    weight = sum(us for _, us in known)
    return round(sum((db or 0.0) * us for db, us in known) / weight, 1) if weight else math.nan


def graph_figure(record: RunRecord) -> dict[str, Any] | None:
    """The graph of the layers: an arrow of time to the right, branches beside each other.

    A square runs on the CPU; a point's area grows with its share of the estimate. None where no
    layer says what it reads, or where there are too many.
    """
    layers = _with_shown_sqnr(record.layers)
    if not any(layer.reads for layer in layers) or len(layers) > MOST_NODES:
        return None
    import plotly.graph_objects as go

    places = layout(layers)
    types = {item.tensor: item.dtype for item in record.encodings if item.kind == "activation"}
    on_cpu = {node.name for placed in record.placements for node in placed.cpu_nodes}
    most = max((layer.us or 0.0 for layer in layers), default=0.0) or 1.0
    lines = [
        point
        for reader, layer in enumerate(layers)
        for read in layer.reads
        for point in _edge(places[read], places[reader])
    ]
    figure = go.Figure()
    figure.add_scatter(
        mode="lines",
        x=[x for x, _ in lines],
        y=[y for _, y in lines],
        hoverinfo="skip",
        showlegend=False,
        meta="edges",
    )
    figure.add_scatter(
        mode="markers",
        x=[x for x, _ in places],
        y=[y for _, y in places],
        customdata=list(range(len(layers))),
        hovertext=[
            describe(layer, types, "CPU" if layer.name in on_cpu else "NPU") for layer in layers
        ],
        hoverinfo="text",
        showlegend=False,
        marker={
            "size": [round(7 + 17 * math.sqrt((layer.us or 0.0) / most), 1) for layer in layers],
            "symbol": ["square" if layer.name in on_cpu else "circle" for layer in layers],
            "color": [_finite(layer.sqnr_db) for layer in layers],
            **_SQNR,
        },
    )
    return _made(
        figure,
        xaxis={"title": {"text": "steps from the input"}, "zeroline": False},
        yaxis={"visible": False, "zeroline": False, "range": _height(lines)},
        margin={"l": 8, "r": 8, "t": 8, "b": 40},
        dragmode="pan",
    )


def _height(lines: Sequence[tuple[Any, Any]]) -> list[float]:
    """The range of lanes that is shown, so that a chain of layers stays in the middle."""
    lanes = [lane for _, lane in lines if lane is not None]
    return [min(-4.0, min(lanes) - 1), max(4.0, max(lanes) + 1)]


def _edge(start: tuple[int, int], end: tuple[int, int]) -> Iterator[tuple[Any, Any]]:
    """The points of a line, and the gap behind it; one past other layers goes around them."""
    yield start
    steps = end[0] - start[0]
    if steps > 1 and start[1] == end[1]:
        aside = start[1] - 0.3 - 0.1 * math.log2(steps)
        yield start[0] + 0.5, aside
        yield end[0] - 0.5, aside
    yield end
    yield None, None


def layout(layers: Sequence[LayerRecord]) -> list[tuple[int, int]]:
    """Where each layer stands: steps from the input, and a lane.

    A layer goes on in the lane of the first one that it reads, where no other has taken that; else
    in the nearest free one.
    """
    steps: list[int] = []
    lanes: list[int] = []
    taken: dict[int, set[int]] = {}
    for place, layer in enumerate(layers):
        read = [one for one in layer.reads if one < place]
        step = 1 + max((steps[one] for one in read), default=-1)
        wish = lanes[read[0]] if read else 0
        used = taken.setdefault(step, set())
        tried = (wish + sign * away for away in range(_LANES) for sign in (1, -1))
        lane = next((one for one in tried if one not in used), wish)
        used.add(lane)
        steps.append(step)
        lanes.append(lane)
    return list(zip(steps, lanes, strict=True))


def describe(layer: LayerRecord, types: Mapping[str, str] | None = None, runs_on: str = "") -> str:
    """Hover text; plotly reads markup in it, so a name's own markup is escaped."""
    name = html.escape(fmt.shorten(fmt.plain(layer.name), _LABEL_LENGTH))
    parts = [html.escape(fmt.plain(layer.op_type))]
    if runs_on:
        parts.append(f"on the {runs_on}")
    lines = [f"<b>{name}</b>", ", ".join(parts)]
    if layer.us is not None:
        lines.append(f"{fmt.microseconds(layer.us)} estimated")
    if layer.sqnr_db is not None:
        lines.append(f"SQNR {fmt.decibels(layer.sqnr_db)}")
    if types is not None:
        lines.append(f"output in {html.escape(fmt.plain(types.get(layer.output, 'float')))}")
    return "<br>".join(lines)


def _finite(value: float | None) -> float:
    """The value, or what plotly leaves without a colour."""
    return math.nan if value is None or not math.isfinite(value) else round(value, 1)


def _made(figure: Any, **options: Any) -> dict[str, Any]:
    figure.update_layout(template="none", **options)
    made = json.loads(figure.to_json())
    made["layout"].pop("template", None)
    return {"data": made["data"], "layout": made["layout"]}
