"""Renders a run as one HTML file that needs no network.

Names come from models and users and may hold markup: jinja2 escapes every value, JSON is packed as
base64, plot labels are escaped in `plots`, and a Content-Security-Policy with script hashes forbids
all other scripts and every request.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import jinja2
import yaml
from markupsafe import Markup, escape

from snapq.records import RunRecord
from snapq.report import (
    benches,
    classical,
    key_figures,
    language,
    outcome,
    plots,
    predictions,
    sections,
    texts,
)
from snapq.report import formatting as fmt
from snapq.report.curves import loss_curve
from snapq.report.drawing import by_devices, tradeoff_plane
from snapq.report.layer_plots import graph_figure, shown_sqnr, time_figure

_FILTERS = {
    "cosine": fmt.cosine,
    "number": fmt.number,
    "plural": fmt.plural,
    "ratio": fmt.ratio,
    "integer": fmt.integer,
}
_QUANTITIES: dict[str, Callable[[Any], str]] = {
    "bytes": fmt.size,
    "count": fmt.count,
    "db": fmt.decibels,
    "ms": fmt.milliseconds,
    "instructions": fmt.instructions,
    "seconds": fmt.seconds,
    "us": fmt.microseconds,
}
"""Numbers with a unit, which stay on one line with it."""


def render_html(record: RunRecord) -> str:
    """Returns the report of a run as a self-contained HTML page, the same for the same record."""
    figures = {
        "sqnr": plots.sqnr_figure(record.layers),
        "time": time_figure(record.layers),
        "graph": graph_figure(record),
    }
    histograms = plots.histogram_data(record.encodings)
    plotly = plots.plotly_script() if any(figures.values()) or any(histograms) else None
    return page(
        "report.html",
        [plotly.csp_hash] if plotly else [],
        record=record,
        benches=benches,
        tradeoff_plane=tradeoff_plane,
        by_devices=by_devices,
        lowest=plots.lowest(record.layers),
        layer_sqnr=shown_sqnr(record.layers),
        figures={name: plots.pack(json.dumps(made)) for name, made in figures.items() if made},
        histograms=plots.pack(json.dumps(histograms)) if any(histograms) else "",
        has_histogram=[found is not None for found in histograms],
        plotly=plotly.data if plotly else "",
        command=shlex.join(record.provenance.command),
    )


def page(template: str, hashes: Sequence[str] = (), **values: Any) -> str:
    """Returns one page that needs no network, the same for the same values.

    It may run `app.js` and the scripts with these hashes.
    """
    app = source("app.js")
    return (
        _environment()
        .get_template(template)
        .render(
            **values,
            outcome=outcome,
            key_figures=key_figures,
            sections=sections,
            texts=texts,
            classical=classical,
            language=language,
            predictions=predictions,
            fmt=fmt,
            app=Markup(app),
            style=Markup(source("style.css")),
            script_hashes=Markup(" ".join([plots.csp_hash(app), *hashes])),
        )
    )


@cache
def _environment() -> jinja2.Environment:
    """The templates of the package, with the filters of figures; every value is escaped."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("snapq.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    made.filters.update(_FILTERS)
    made.filters |= {name: _unbroken(say) for name, say in _QUANTITIES.items()}
    made.filters |= {
        "loss_curve": loss_curve,
        "yaml": _yaml,
        "percent": _percent,
        "columns": _columns,
        "cell": _cell,
        "grouped": _grouped,
        "wraps": _wraps,
    }
    return made


def _unbroken(say: Callable[[Any], str]) -> Callable[[Any], Markup]:
    """The same text with no-break spaces."""
    return lambda value: Markup(str(escape(say(value))).replace(" ", "&nbsp;"))


def source(name: str) -> str:
    """Returns a file of the templates folder as it is, for it is no template."""
    return (resources.files("snapq.report") / "templates" / name).read_text(encoding="utf-8")


def _finalize(value: Any) -> Any:
    """Makes invisible characters of untrusted text visible; leaves rendered markup alone."""
    return fmt.plain(value, keep="\n\t") if type(value) is str else value


def _wraps(value: Any) -> Markup:
    """Returns a name that breaks behind its signs where it has to, and within a word last."""
    return Markup(_SIGNS.sub(r"\1<wbr>", str(escape(fmt.plain(str(value))))))


_SIGNS = re.compile(r"([/_.:@-]+)(?=[^/_.:@;-])")


def _yaml(value: Any) -> Markup:
    """Returns a value of `run.json` as YAML text, escaped."""
    text = yaml.safe_dump(
        json.loads(json.dumps(value, default=str)),
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
    )
    return escape(fmt.plain(text, keep="\n\t"))


def _percent(value: float, maximum: float) -> str:
    """Returns the width of a bar for CSS: `value` of `maximum`, within 0 and 100 %."""
    share = value / maximum if maximum > 0 and value == value else 0.0
    return f"{min(max(share, 0.0), 1.0) * 100:.2f}%"


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the keys of all rows in order of appearance, without those that have no value."""
    return list(dict.fromkeys(key for row in rows for key in row if row[key] not in (None, "")))


def _grouped(items: Sequence[Any], attribute: str) -> list[tuple[Any, list[Any]]]:
    """Groups records by an attribute, in order of first appearance."""
    groups: dict[Any, list[Any]] = {}
    for item in items:
        groups.setdefault(getattr(item, attribute), []).append(item)
    return list(groups.items())


_UNITS: dict[str, Callable[[Any], str]] = {
    "us": fmt.microseconds,
    "bytes": fmt.size,
    "seconds": fmt.seconds,
}


def _cell(value: Any, key: str = "") -> str:
    """Returns a cell's text: a number in the unit that its key ends in, `key=value` of mappings."""
    unit = _UNITS.get(key.rpartition("_")[2])
    if unit is not None and isinstance(value, int | float):
        return unit(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={item}" for key, item in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return fmt.number(value, 4)
    if isinstance(value, int):
        return fmt.integer(value)
    return "" if value is None else str(value)
