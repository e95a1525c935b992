"""A board or a bundle that means harm writes nothing, runs nothing and shows nothing of its own."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from snapq.benchmarking.targets.base import Candidate, Measurement
from snapq.benchmarking.targets.board import BoardTarget
from snapq.boards.session import answers
from snapq.boards.session.load import plain_load
from snapq.boards.session.measure import Limits
from snapq.boards.session.push import PushedFile, push
from snapq.boards.transports.base import connect
from snapq.errors import ConnectionLostError, DeviceError, ModelError, SnapqError
from snapq.progress import Silent
from snapq.report.html import render_html
from tests.boards import boards, sshd, tested_board
from tests.boards.faults import python_script
from tests.report import report_records

ESCAPE = "\x1b[31m"
DEEP = "[" * 100_000 + "]" * 100_000
LINES = {
    "a line without end": "head -c 200000000 /dev/zero | tr '\\0' '{'",
    "lines without end": 'yes \'{"type":"board"}\'',
    "no JSON": "echo 'rm -rf /'",
    "an array": "echo '[1, 2]'",
    "no type": "echo '{}'",
    "control characters": f'printf \'%s\\n\' \'{{"type":"error","what":"{ESCAPE}owned"}}\'',
    "markup": 'echo \'{"type":"error","what":"[red]x[/red]<script>alert(1)</script>"}\'',
    "a board of nonsense": 'echo \'{"type":"board","system":7}\'',
    "nothing": "true",
    "errors without end": "head -c 100000000 /dev/zero >&2; exit 1",
}


@pytest.mark.parametrize("script", LINES.values(), ids=LINES.keys())
def test_whatever_a_board_says_is_one_plain_error(
    script: str, server: sshd.Sshd, candidates: list[Candidate], tmp_path: Path
) -> None:
    with python_script(f"{script}; cat >/dev/null")(
        tested_board.loopback(server), tmp_path
    ) as board:
        target = BoardTarget(board, limits=Limits(silence_s=5))
        with pytest.raises(SnapqError) as raised:
            target.measure(candidates, boards.QUICK)
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 4000


@pytest.mark.parametrize(
    "answer",
    [
        {"type": "turn", "label": "x", "ms": [float("nan")]},
        {"type": "turn", "label": "x", "ms": [-1.0]},
        {"type": "turn", "label": "x", "ms": []},
        {"type": "turn", "label": "x", "ms": "0.1"},
        {"type": "progress", "share": 2},
        {"type": "hello", "pid": 1, "started": "0"},
        {"type": "usage", "label": "x", "rss_peak": 1 << 80, "processor_s": 0},
        {"type": "__class__"},
    ],
    ids=lambda answer: json.dumps(answer)[:40],
)
def test_figures_that_cannot_be_are_refused(answer: dict[str, object]) -> None:
    with pytest.raises(DeviceError, match="makes no sense"):
        answers.read(answer, "board")


def test_words_of_a_board_lose_what_is_not_text() -> None:
    said = answers.read(
        {"type": "waiting", "holder": f"{ESCAPE}\x07ada\u202e\n" + "x" * 9999}, "board"
    )
    assert isinstance(said, answers.Waiting)
    assert said.holder.isprintable()
    assert len(said.holder) <= 2000


@pytest.mark.parametrize("path", ["../../outside", "/tmp/outside", "a/../../outside", "a\0b"])
def test_a_path_that_leads_out_of_its_folder_is_refused_on_the_board(
    path: str, server: sshd.Sshd
) -> None:
    with (
        connect(server.address()) as transport,
        pytest.raises(DeviceError, match=r"leads out|null"),
    ):
        push(transport, [PushedFile.of(path, b"x")], Silent(), python=sys.executable)
    assert not list(server.folder.rglob("outside"))


def test_a_model_that_names_a_file_elsewhere_is_not_followed(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    weight = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    weight.ClearField("float_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="../secret")
    graph = helper.make_graph([], "g", [], [], [weight])
    onnx.save(helper.make_model(graph), str(tmp_path / "model.onnx"))
    with pytest.raises(ModelError, match="outside its folder"):
        plain_load("x", tmp_path / "model.onnx", {}, None)


def test_names_of_a_board_are_no_markup_in_the_report(measured: Measurement) -> None:
    hostile = report_records.HOSTILE[0]
    record = measured.records[1].without_samples()
    changed = record.model_copy(
        update={
            "headline": hostile,
            "target": record.target.model_copy(
                update=dict.fromkeys(("name", "host", "os", "kernel", "cpu", "soc"), hostile)
            ),
            "remarks": (hostile,),
        }
    )
    page = render_html(report_records.realistic(benches=(changed,)))
    assert hostile not in page
    assert len(re.findall("&lt;script&gt;window.hacked", page)) >= 6


def test_a_board_that_vanishes_in_an_answer_is_told_so(
    server: sshd.Sshd, candidates: list[Candidate], tmp_path: Path
) -> None:
    arranged = python_script('echo \'{"type": "bo\'; kill -9 $PPID')(
        tested_board.loopback(server), tmp_path
    )
    with arranged as board, pytest.raises((ConnectionLostError, DeviceError)):
        BoardTarget(board).measure(candidates, boards.QUICK)
