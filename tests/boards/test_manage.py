"""Probing, setting up and cleaning a board, by its name in the inventory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from snapq import api
from snapq.benchmarking.targets.base import Candidate
from snapq.boards.inventory import boards as inventory
from snapq.errors import ConfigError
from tests.boards import sshd


@pytest.fixture
def listed(server: sshd.Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An inventory that names the server `bench`."""
    path = tmp_path / "boards.yaml"
    path.write_text(
        f"boards:\n  - name: bench\n    address: ssh://{sshd.user()}@127.0.0.1:{server.port}\n"
        f"    identity: {server.key}\n    known_hosts: {server.known_hosts}\n"
        f"    setup: {{python: {sys.executable}}}\n"
    )
    monkeypatch.setenv("SNAPQ_BOARDS", str(path))
    return path


def test_a_probe_says_what_the_npu_lacks_and_how_to_get_it(listed: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "snapq", "devices", "probe", "bench", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    needs = {need["name"]: need for need in json.loads(done.stdout)["needs"]}
    assert needs["Python"]["ok"]
    assert needs["libraries"]["found"] == "the board's own"
    assert not needs["NPU device node"]["ok"]
    assert "fastrpc" in needs["NPU device node"]["hint"]


def test_cleaning_leaves_nothing_and_may_be_repeated(server: sshd.Sshd, listed: Path) -> None:
    from snapq.boards.session.push import PushedFile, push
    from snapq.boards.transports.base import connect
    from snapq.progress import Silent

    with connect(server.address()) as transport:
        push(transport, [PushedFile.of("a", b"bytes")], Silent(), python=sys.executable)
    assert (server.home / ".snapq").is_dir()
    assert api.clean_board("bench")[1] > 0
    assert not (server.home / ".snapq").exists()
    assert api.clean_board("bench") == (str(server.home / ".snapq"), 0)


def test_a_board_that_has_everything_needs_no_set_up(listed: Path) -> None:
    done = api.set_up_board("bench")
    assert (done.path, done.new) == (None, False)


def test_an_unknown_name_is_answered_with_the_nearest(listed: Path) -> None:
    with pytest.raises(ConfigError, match="Did you mean bench"):
        api.probe_board("bnech")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("boards: [{name: a}]", "address"),
        ("boards: [{name: a, address: ssh://a, colour: red}]", "colour"),
        ("boards: [{name: a, address: ssh://a}, {name: a, address: ssh://b}]", "Two boards"),
        ("boards: [{name: a, address: 'ssh://x:secret@a'}]", "must not hold a password"),
        ("boards: [", "not valid YAML"),
    ],
)
def test_a_wrong_inventory_is_refused_with_the_reason(
    text: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "boards.yaml"
    path.write_text(text)
    monkeypatch.setenv("SNAPQ_BOARDS", str(path))
    with pytest.raises(ConfigError, match=expected):
        inventory()


def test_the_inventory_of_the_docs_loads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "how-to" / "boards.md"
    text = page.read_text(encoding="utf-8")
    path = tmp_path / "boards.yaml"
    path.write_text(text.partition("```yaml\n")[2].partition("```")[0], encoding="utf-8")
    monkeypatch.setenv("SNAPQ_BOARDS", str(path))
    assert [(board.name, board.profile) for board in inventory()] == [("bench-1", "qcs9075")]


def test_several_targets_at_once_and_their_history(
    listed: Path, candidates: list[Candidate], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNAPQ_HISTORY", str(tmp_path / "history.sqlite"))
    protocol = ["--allow", "npu", "--allow", "cpu", "--min-runs", "20", "--min-duration", "0"]
    done = _snapq(
        *("benchmark", str(candidates[1].bundle), "--target", "bench", "--target", "local"),
        *("--target", "ssh://127.0.0.1:1", *protocol, "--json"),
    )
    assert done.returncode == 2  # one of the three cannot be reached; the others are kept
    board, local, lost = json.loads(done.stdout)
    assert (board["target"]["name"], local["target"]["name"]) == ("bench", "local")
    assert "Nothing listens" in lost["error"]["what"]
    kept = json.loads(_snapq("history", "--json").stdout)
    assert {record["run_id"] for record in kept} == {board["run_id"], local["run_id"]}
    compared = _snapq("compare", board["run_id"], local["run_id"], "--junit", str(tmp_path / "x"))
    assert compared.returncode == 1  # another target: nothing that can be compared
    assert 'failures="' in (tmp_path / "x").read_text()


def _snapq(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "snapq", *words], capture_output=True, text=True, check=False
    )
