"""The page of `snapq analyze`: every node with its figures; no name becomes markup."""

from __future__ import annotations

import math

from snapq.records import AnalysisRecord, Origin, SensitivityRecord
from snapq.report import analysis
from snapq.report.drawing import HEIGHT, WIDTH


def nodes(*damages: tuple[str, float, float | None]) -> tuple[SensitivityRecord, ...]:
    return tuple(
        SensitivityRecord(
            kind="node",
            name=name,
            op_type="Conv",
            sqnr_db=sqnr_db,
            where=Origin.HOST,
            device=None,
            samples=4,
            us=us,
        )
        for name, sqnr_db, us in damages
    )


def record(items: tuple[SensitivityRecord, ...]) -> AnalysisRecord:
    return AnalysisRecord(
        model="net.onnx",
        precision="w8a8",
        device="qcs9075",
        where=Origin.HOST,
        samples=4,
        dataset="4 images",
        random_inputs=False,
        sqnr_db=20.0,
        items=items,
    )


def test_nodes_stand_by_time_and_damage() -> None:
    drawn = analysis.plane(
        nodes(("cheap", 20.0, 1.0), ("dear", 50.0, 3.0), ("safe", math.inf, 2.0))
    )
    assert drawn is not None
    assert [(mark.x, mark.y) for mark in drawn.marks] == [
        (0.0, HEIGHT),
        (WIDTH, 0.0),
    ]
    assert (drawn.us, drawn.values) == ((1.0, 3.0), (20.0, 50.0))


def test_without_estimates_nodes_stand_in_the_model_s_order() -> None:
    drawn = analysis.plane(nodes(("first", 30.0, None), ("second", 20.0, None)))
    assert drawn is not None
    assert drawn.us is None
    assert [mark.x for mark in drawn.marks] == [0.0, WIDTH]


def test_one_node_alone_draws_nothing_and_is_listed() -> None:
    items = nodes(("only", 30.0, 1.0))
    assert analysis.plane(items) is None
    assert "only" in analysis.render(record(items))


def test_names_of_a_model_stay_text_on_the_page() -> None:
    page = analysis.render(
        record(nodes(("<img src=x onerror=alert(1)>", 20.0, 1.0), ("b", 30.0, 2.0)))
    )
    assert "<img" not in page
    assert page.count("&lt;img src=x onerror=alert(1)&gt;") >= 3
