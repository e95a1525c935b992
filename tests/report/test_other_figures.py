"""A kind of figure that the report has no section for still stands in it."""

from __future__ import annotations

import html
import io

from rich.console import Console

from snapq.records import FidelityRecord, Origin, Record, RunRecord
from snapq.report.html import render_html
from snapq.report.terminal import summary
from tests.report import report_records as records


class EnergyRecord(Record):
    device: str
    energy_mj: float


class MoreRecord(RunRecord):
    energy_figures: tuple[EnergyRecord, ...] = ()


def text(record: RunRecord) -> str:
    stream = io.StringIO()
    summary(record, Console(file=stream, width=160))
    return stream.getvalue()


def test_a_new_kind_of_figure_gets_a_table_without_a_change_of_the_report() -> None:
    plain = records.realistic()
    figures = (EnergyRecord(device="qcs9075", energy_mj=1.25),)
    record = MoreRecord(**dict(plain), energy_figures=figures)
    page = render_html(record)
    assert "Energy figures" in page
    assert "energy mj" in page
    assert "1.25" in page
    assert "Energy figures" not in render_html(plain)
    assert "energy_mj 1.25" in text(record)


def test_the_share_of_equal_elements_of_whole_numbers_is_shown() -> None:
    classes = FidelityRecord(
        label="w8a8",
        output="classes",
        sqnr_db=12.5,
        sqnr_db_min=9.0,
        cosine=0.97,
        agreement=0.9875,
        samples=500,
        dataset="500 images",
        where=Origin.SIMULATED,
    )
    record = records.realistic().model_copy(update={"fidelity": (classes,)})
    for shown in (text(record), html.unescape(render_html(record))):
        assert "98.8 % of elements equal" in shown
        assert "12.5 dB" not in shown
    assert "elements equal" not in text(records.realistic())
