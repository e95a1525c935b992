"""The page of a search: its frontier, what matters, how it went, and every trial."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from snapq.records import SearchRecord, SearchTrialRecord
from snapq.report import formatting as fmt
from snapq.report import plots
from snapq.report import searching as texts
from snapq.report.html import page
from snapq.report.search_effects import Effects, effects

if TYPE_CHECKING:
    import plotly.graph_objects as go

_SMALLEST, _LARGEST = 7.0, 26.0
"""Diameters of points, by the size of what is compiled."""


def render(record: SearchRecord) -> str:
    """The page, which needs no network; the same for the same record."""
    fits = {"us": effects(record, "us"), "loss": effects(record, "loss")}
    figures = {
        "pareto": pareto_figure(record),
        "importance": importance_figure(record, fits),
        "history": history_figure(record),
    }
    plotly = plots.plotly_script() if any(figures.values()) else None
    return page(
        "search.html",
        [plotly.csp_hash] if plotly else [],
        record=record,
        told=texts,
        fits=fits,
        rows=[(one, texts.cells(one, record)) for one in record.frontier],
        headings=texts.headings(record),
        trials=sorted(record.trials, key=lambda one: (not one.best, one.us is None, one.number)),
        costs=lambda trial: costs(trial, record, fits),
        figures={name: plots.pack(json.dumps(made)) for name, made in figures.items() if made},
        plotly=plotly.data if plotly else "",
    )


def height(trial: SearchTrialRecord, record: SearchRecord) -> float | None:
    """What the axis upwards shows of a trial: the metric, or the SQNR; None of one without."""
    if trial.loss is None or trial.us is None:
        return None
    value = trial.measures.get("value")
    if value is not None:
        return float(value)
    return -trial.loss if record.loss == "SQNR" else 1.0 - trial.loss


def pareto_figure(record: SearchRecord) -> dict[str, Any] | None:
    """The simulated trials by time and quality; a point's area grows with its size.

    `customdata` of a point is the number of its trial. None where no trial is simulated.
    """
    done = [one for one in record.trials if height(one, record) is not None]
    if not done:
        return None
    import plotly.graph_objects as go

    figure = go.Figure(layout={"template": "none"})
    best = sorted((one for one in done if one.best), key=lambda one: one.us or 0.0)
    others = [one for one in done if not one.best]
    largest = max(one.bytes or 0 for one in done) or 1
    for name, group in (("frontier", best), ("others", others)):
        figure.add_scatter(
            name=name,
            mode="lines+markers" if group is best else "markers",
            x=[one.us for one in group],
            y=[height(one, record) for one in group],
            customdata=[one.number for one in group],
            hovertext=[_label(one, record) for one in group],
            hoverinfo="text",
            marker={"size": [_diameter(one.bytes or 0, largest) for one in group]},
            meta=None if group is best else "muted",
            **({"line": {"shape": "hv", "width": 1.5}} if group is best else {}),
        )
    figure.update_layout(
        xaxis={"title": {"text": f"estimated µs on {html.escape(record.device)}"}},
        yaxis={"title": {"text": html.escape(texts.quality_name(record))}},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        margin={"l": 60, "r": 8, "t": 30, "b": 44},
    )
    return _plain(figure)


def importance_figure(
    record: SearchRecord, fits: Mapping[str, Effects | None]
) -> dict[str, Any] | None:
    """How much each dimension moves time and loss; None where nothing could be fitted."""
    names = {"us": "time", "loss": "loss"}
    known = {names[key]: fit for key, fit in fits.items() if fit is not None}
    if not known:
        return None
    import plotly.graph_objects as go

    keys = [one.key for one in record.dimensions]
    totals = {key: sum(fit.importance.get(key, 0.0) for fit in known.values()) for key in keys}
    ranked = sorted(keys, key=lambda key: totals[key])
    figure = go.Figure(layout={"template": "none"})
    for name, fit in known.items():
        figure.add_bar(
            name=name,
            orientation="h",
            y=[html.escape(texts.label(key)) for key in ranked],
            x=[round(100 * fit.importance.get(key, 0.0), 1) for key in ranked],
            hovertemplate="%{y}: %{x} % of what moves the " + name + "<extra></extra>",
        )
    figure.update_layout(
        xaxis={"title": {"text": "share of the explained variance, %"}},
        yaxis={"automargin": True},
        barmode="group",
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        margin={"l": 8, "r": 8, "t": 30, "b": 44},
    )
    return _plain(figure)


def history_figure(record: SearchRecord) -> dict[str, Any] | None:
    """The hypervolume after each trial, of the last one's; None where fewer than two count."""
    covered = record.covered
    if len(covered) < 2 or covered[-1] <= 0:
        return None
    import plotly.graph_objects as go

    figure = go.Figure(layout={"template": "none"})
    figure.add_scatter(
        mode="lines",
        x=list(range(1, len(covered) + 1)),
        y=[round(100 * area / covered[-1], 2) for area in covered],
        line={"shape": "hv", "width": 2},
        hovertemplate="after %{x} trials: %{y} %<extra></extra>",
    )
    figure.update_layout(
        xaxis={"title": {"text": "trials"}},
        yaxis={"title": {"text": "hypervolume, % of the last"}, "rangemode": "tozero"},
        showlegend=False,
        margin={"l": 60, "r": 8, "t": 12, "b": 44},
    )
    return _plain(figure)


def costs(
    trial: SearchTrialRecord, record: SearchRecord, fits: Mapping[str, Effects | None]
) -> list[tuple[str, str, str, str]]:
    """Each choice of a trial: its name, its value, and what it costs in time and in loss."""
    found = []
    for one in record.dimensions:
        time, loss = (
            None if fit is None else fit.cost(trial, one.key) for fit in (fits["us"], fits["loss"])
        )
        found.append(
            (
                texts.label(one.key),
                texts.shown(trial.choices.get(one.key)),
                "" if time is None else f"{time:+.3g} µs",
                "" if loss is None else _lost(loss, trial, record),
            )
        )
    return found


def _lost(loss: float, trial: SearchTrialRecord, record: SearchRecord) -> str:
    if record.loss == "SQNR":
        return f"{-loss:+.2f} dB"
    return texts.change(loss, str(trial.measures.get("metric", record.loss)))


def _diameter(size: int, largest: int) -> float:
    return round(_SMALLEST + (_LARGEST - _SMALLEST) * math.sqrt(size / largest), 1)


def _label(trial: SearchTrialRecord, record: SearchRecord) -> str:
    """Hover text; plotly reads markup in it, so a name's own markup is escaped."""
    parts: Sequence[str] = (
        f"<b>trial {trial.number}</b>",
        html.escape(
            ", ".join(
                filter(
                    None,
                    (
                        fmt.microseconds(trial.us or 0.0),
                        texts.quality(trial, record),
                        fmt.size(trial.bytes or 0),
                    ),
                )
            )
        ),
        html.escape(fmt.shorten(fmt.plain(texts.what(trial, record)), 90)),
    )
    return "<br>".join(parts)


def _plain(figure: go.Figure) -> dict[str, Any]:
    made = json.loads(figure.to_json())
    made["layout"].pop("template", None)
    return {"data": made["data"], "layout": made["layout"]}
