"""The report in a real browser."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from snapq.records import RunRecord
from tests.report import report_records as records
from tests.report.conftest import Open, Page

pytestmark = pytest.mark.slow

OPEN_ALL = "document.querySelectorAll('details').forEach((item) => { item.open = true; })"
SHOWN = (
    "return [...document.querySelectorAll('#{} tbody tr')].filter((row) => !row.hidden)"
    ".map((row) => row.cells[{}].textContent.trim())"
)


def draw_everything(page: Page) -> None:
    page.run(OPEN_ALL)
    page.run("document.querySelector('#sqnr-plot').scrollIntoView()")
    page.wait("document.querySelector('#sqnr-plot[data-drawn] .main-svg')")
    for figure in ("time", "graph"):
        page.run(f"document.querySelector('[data-figure={figure}]').scrollIntoView()")
        page.wait(f"document.querySelector('[data-figure={figure}][data-drawn] .main-svg')")
    page.run("document.querySelector('[data-histogram]').scrollIntoView()")
    page.wait("document.querySelector('[data-histogram] svg path')")
    page.run("document.querySelector('[data-histogram] button').click()")
    page.wait("document.querySelector('.enlarged [data-drawn] .main-svg')")


@pytest.mark.parametrize("make", [records.realistic, records.troubled, records.hostile])
def test_page_asks_for_nothing_but_itself_and_reports_no_error(
    open_report: Open, make: Callable[[], RunRecord]
) -> None:
    page = open_report(make())
    draw_everything(page)
    assert page.console() == []
    assert [url for url in page.requests() if not url.startswith("data:")] == [page.url]


def test_empty_run_is_shown_without_plots_or_errors(open_report: Open) -> None:
    page = open_report(records.empty())
    assert page.console() == []
    assert "Not finished" in str(page.run("return document.querySelector('h1 + p').textContent"))


@pytest.mark.parametrize("make", [records.realistic, records.hostile])
def test_page_never_scrolls_sideways(open_report: Open, make: Callable[[], RunRecord]) -> None:
    page = open_report(make(), width=360)
    draw_everything(page)
    for width in (360, 320, 420, 1280):
        page.resize(width)
        page.wait(f"innerWidth === {width}")
        found = page.run("return document.documentElement.scrollWidth")
        assert isinstance(found, int)
        assert found <= width


@pytest.mark.parametrize("make", [records.realistic, records.troubled])
def test_nothing_is_cut_on_a_phone(open_report: Open, make: Callable[[], RunRecord]) -> None:
    page = open_report(make(), width=390)
    page.run(OPEN_ALL)
    wide = page.run(
        "return [...document.querySelectorAll('.scroll')].filter("
        "(region) => region.scrollWidth > region.clientWidth).map((region) => region.ariaLabel)"
    )
    assert wide == []
    labels = page.run(
        "return [...document.querySelectorAll('#placement tbody tr:first-child td')].map("
        "(cell) => getComputedStyle(cell, '::before').content)"
    )
    assert isinstance(labels, list)
    assert '"on the CPU"' in labels


def test_an_enlarged_histogram_has_the_range_that_can_be_stored(open_report: Open) -> None:
    page = open_report(records.realistic())
    draw_everything(page)
    shown = page.run(
        "const plot = document.querySelector('.enlarged .plot'), "
        "cell = plot.closest('tr').previousElementSibling.querySelector('[data-range]');"
        "return [plot.layout.shapes.map((line) => line.x0), cell.dataset.range, "
        "plot.layout.xaxis.title.text, plot.layout.yaxis.title.text]"
    )
    assert isinstance(shown, list)
    lines, stored, *titles = shown
    assert lines == [float(value) for value in stored.split()]
    assert titles == ["value", "count"]


def test_markup_in_names_is_text_everywhere(open_report: Open) -> None:
    page = open_report(records.hostile())
    draw_everything(page)
    assert page.run("return window.hacked") is None
    assert page.run("return document.images.length") == 0
    assert page.run("return document.querySelector('h1').textContent") == records.HOSTILE[1]
    names = page.run(SHOWN.format("layer-table", 1))
    assert isinstance(names, list)
    assert names[:3] == list(records.HOSTILE[:3])
    assert page.run("return document.querySelectorAll('body [onerror], body [onload]').length") == 0
    assert page.run("return document.querySelectorAll('script').length") == 7, "plotly is the 7th"


def test_plot_labels_show_markup_of_names_as_text(open_report: Open) -> None:
    record = records.realistic(
        layers=tuple(
            layer.model_copy(update={"name": "<b>bold</b><a href='https://x.example'>link</a>"})
            for layer in records.layers(3)
        )
    )
    page = open_report(record)
    page.run("document.querySelector('#sqnr-plot').scrollIntoView()")
    page.wait("document.querySelector('#sqnr-plot[data-drawn]')")
    page.run("Plotly.Fx.hover('sqnr-plot', [{curveNumber: 1, pointNumber: 0}])")
    page.wait("document.querySelector('#sqnr-plot .hovertext')")
    label = page.run("return document.querySelector('#sqnr-plot .hovertext').textContent")
    assert "<b>bold</b><a href='https://x.example'>link</a>" in str(label)
    assert page.run("return document.querySelectorAll('#sqnr-plot a').length") == 0


def test_layers_are_sorted_by_number_and_filtered_by_every_word(open_report: Open) -> None:
    page = open_report(records.realistic())
    page.run(OPEN_ALL)
    press = "document.querySelectorAll('#layer-table th button')[2].click()"
    cells = "return [...document.querySelectorAll('#layer-table tbody tr')].map((row) => "
    cells += "Number(row.cells[2].dataset.value))"
    page.run(press)
    rising = page.run(cells)
    assert isinstance(rising, list)
    assert rising == sorted(rising)
    assert len(rising) == 80
    page.run(press)
    assert page.run(cells) == rising[::-1]
    state = "return document.querySelectorAll('#layer-table th')[2].getAttribute('aria-sort')"
    assert page.run(state) == "descending"

    page.run(
        "const box = document.querySelector('[data-filter=layer-table]');"
        "box.value = 'GEMM blocks/1'; box.dispatchEvent(new Event('input'))"
    )
    shown = page.run(SHOWN.format("layer-table", 1))
    assert isinstance(shown, list)
    assert shown
    assert all("/blocks/1" in name and "gemm" in name for name in shown)
    count = page.run("return document.querySelector('[data-count=layer-table]').textContent")
    assert count == f"{len(shown)} of 80 shown"


def test_enlarged_histogram_goes_away_again_and_before_sorting(open_report: Open) -> None:
    page = open_report(records.realistic())
    draw_everything(page)
    page.run("document.querySelector('[data-histogram] button').click()")
    assert page.run("return document.querySelectorAll('.enlarged').length") == 0
    page.run("document.querySelector('[data-histogram] button').click()")
    page.run("document.querySelector('#encoding-table th button').click()")
    assert page.run("return document.querySelectorAll('.enlarged').length") == 0
    assert page.run("return document.querySelectorAll('#encoding-table tbody tr').length") == 150


def test_press_on_a_point_leads_to_its_layer(open_report: Open) -> None:
    page = open_report(records.realistic())
    page.run("document.querySelector('#sqnr-plot').scrollIntoView()")
    page.wait("document.querySelector('#sqnr-plot[data-drawn]')")
    page.run(
        "document.querySelector('#sqnr-plot').emit('plotly_click', {points: [{customdata: 7}]})"
    )
    assert page.run("return document.querySelector('.target-row').id") == "layer-7"
    assert page.run("return document.querySelector('#layer-7').checkVisibility()")


def test_dark_readers_get_a_dark_page_and_plot(open_report: Open) -> None:
    def look(dark: bool) -> tuple[object, object]:
        page = open_report(records.realistic(), dark=dark)
        page.run("document.querySelector('#sqnr-plot').scrollIntoView()")
        page.wait("document.querySelector('#sqnr-plot[data-drawn] .main-svg text')")
        return (
            page.run("return getComputedStyle(document.body).backgroundColor"),
            page.run(
                "return getComputedStyle(document.querySelector('#sqnr-plot .xtick text')).fill"
            ),
        )

    light, dark = look(False), look(True)
    assert light[0] == "rgb(246, 247, 248)"
    assert dark[0] == "rgb(16, 19, 22)"
    assert light[1] != dark[1]


def test_everything_essential_is_there_without_scripts(open_report: Open) -> None:
    page = open_report(records.realistic(), scripts=False)
    text = page.driver.find_element("css selector", "main").text
    for expected in ("87.2 %", "4.44×", "64 of 64", "24.6 dB", "passed", "/blocks/24/clip_73"):
        assert expected in text
    summary = page.driver.find_element(
        "css selector", "#layers details.long:last-of-type > summary"
    )
    summary.click()
    assert page.driver.find_element("css selector", "#layer-79").is_displayed()


def test_keyboard_reaches_tables_sorting_and_filters(open_report: Open) -> None:
    page = open_report(records.realistic())
    page.run(OPEN_ALL)
    unreachable = page.run(
        "return [...document.querySelectorAll('.scroll, th button, summary, input, nav a')]"
        ".filter((item) => item.tabIndex < 0).length"
    )
    assert unreachable == 0
    unnamed = page.run(
        "return [...document.querySelectorAll('table')].filter((item) => !item.caption"
        " || !item.tHead).length"
    )
    assert unnamed == 0


def test_two_thousand_layers_open_within_seconds(open_report: Open) -> None:
    page = open_report(records.large(), width=390)
    assert page.console() == []
    loaded = page.run("return performance.getEntriesByType('navigation')[0].domComplete")
    assert isinstance(loaded, int | float)
    assert loaded < 8_000


def test_no_name_of_a_gate_is_broken_on_a_phone(open_report: Open) -> None:
    page = open_report(records.realistic(), width=390)
    lines = page.run(
        "return [...document.querySelectorAll('#gates tbody th')].map((cell) => {"
        " const range = document.createRange(); range.selectNodeContents(cell);"
        " return new Set([...range.getClientRects()].map((one) => Math.round(one.top))).size; })"
    )
    assert lines == [1] * len(records.realistic().gates)
