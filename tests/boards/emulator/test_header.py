"""snapq_model.h on an aarch64 board: the same bits as snapq_io gives here."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from snapq.boards.emulator.connection import as_board
from snapq.boards.emulator.lifecycle import EmulatedBoard
from snapq.boards.transports.base import Command, connect
from tests.bundle.application.driver import build, write_inputs
from tests.bundle.application.packages import KINDS

COMPILER = "aarch64-linux-gnu-gcc"


@pytest.mark.skipif(
    shutil.which(COMPILER) is None,
    reason=f"there is no {COMPILER} (Debian: gcc-aarch64-linux-gnu, libc6-dev-arm64-cross)",
)
def test_the_header_gives_the_same_bits_on_aarch64(board: EmulatedBoard, tmp_path: Path) -> None:
    with connect(as_board(board, board.name).address) as transport:
        for number, manifest in enumerate(KINDS.values()):
            here, there = tmp_path / str(number), f"/tmp/header{number}"
            here.mkdir()
            # Where gcc may fuse a product and a sum, which aarch64 always can.
            driver = build(manifest, here, (COMPILER, "-std=gnu11", "-O2", "-static"))
            expected = write_inputs(manifest, here, np.random.default_rng(number))
            assert transport.run(Command(["mkdir", there])).code == 0
            for path in (driver, *here.glob("in_*"), *here.glob("out_*")):
                transport.put(path, f"{there}/{path.name}")
            script = f"cd {there} && chmod +x driver && ./driver"
            assert transport.run(Command(["sh", "-c", script])).code == 0
            for name, value in expected.items():
                assert transport.get(f"{there}/{name}", limit=1 << 24) == value, name
            transport.run(Command(["rm", "-r", there]))
