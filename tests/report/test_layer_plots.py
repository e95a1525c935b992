"""Where the time goes, and the graph of the layers."""

from __future__ import annotations

import pytest

from snapq.records import LayerRecord
from snapq.report.layer_plots import MOST_AREAS, graph_figure, layout, shown_sqnr, time_figure
from tests.report import report_records as records


def layer(name: str, us: float | None = None, reads: tuple[int, ...] = ()) -> LayerRecord:
    return LayerRecord(
        name=name,
        op_type="Conv",
        output=f"{name}_out",
        macs=1,
        parameters=1,
        bytes=1,
        us=us,
        reads=reads,
    )


def test_areas_are_the_times_and_add_up() -> None:
    layers = [layer(str(index), us=float(index)) for index in range(MOST_AREAS + 50)]
    figure = time_figure(layers)
    assert figure is not None
    (trace,) = figure["data"]
    whole = sum(one.us or 0 for one in layers)
    inner = [v for v, parent in zip(trace["values"], trace["parents"], strict=True) if parent]
    assert sum(inner) == pytest.approx(whole)
    assert len(inner) == MOST_AREAS + 1  # the further ones share an area
    assert trace["values"][0] == pytest.approx(whole)


def test_there_is_no_picture_of_times_that_are_not_known() -> None:
    assert time_figure([layer("a"), layer("b")]) is None
    assert graph_figure(records.realistic(layers=(layer("a"), layer("b")))) is None


def test_a_branch_gets_a_lane_of_its_own() -> None:
    fork = [layer("a"), layer("b", reads=(0,)), layer("c", reads=(0,)), layer("d", reads=(1, 2))]
    assert layout(fork) == [(0, 0), (1, 0), (1, 1), (2, 0)]


def test_a_layer_that_is_computed_with_its_only_reader_has_its_sqnr() -> None:
    def sqnr(one: LayerRecord, value: float) -> LayerRecord:
        return one.model_copy(update={"sqnr_db": value})

    conv, relu = layer("conv", us=2.0), sqnr(layer("relu", reads=(0,)), 30.0)
    assert shown_sqnr([conv, relu]) == [(30.0, 1), (30.0, 1)]
    alone = sqnr(layer("alone", us=1.0, reads=(0,)), 30.0)
    assert shown_sqnr([conv, alone])[0] == (None, 0), "it has a time of its own: it is not fused"
    assert shown_sqnr([conv, relu, sqnr(layer("other", reads=(0,)), 20.0)])[0] == (None, 0)
    figure = time_figure([conv, relu])
    assert figure is not None
    assert figure["data"][0]["marker"]["colors"] == [30.0, 30.0]


def test_a_line_past_other_layers_goes_around_them() -> None:
    chain = (layer("a"), layer("b", reads=(0,)), layer("c", reads=(1,)), layer("d", reads=(2, 0)))
    figure = graph_figure(records.realistic(layers=chain))
    assert figure is not None
    edges = figure["data"][0]
    assert sum(1 for y in edges["y"] if y is not None and y < 0) == 2
    assert edges["x"].count(None) == 4


def test_markup_in_the_name_of_a_layer_is_text() -> None:
    figure = time_figure([layer("<b>x</b>", us=1.0)])
    assert figure is not None
    assert "<b>x" not in str(figure["data"][0]["labels"])
