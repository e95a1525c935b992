"""A bundle's C++ program on an aarch64 board: the values that snapq_io gives there."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from snapq.boards.emulator import tools
from snapq.boards.emulator.connection import as_board
from snapq.boards.emulator.image import Image, cache_folder
from snapq.boards.emulator.lifecycle import EmulatedBoard
from snapq.boards.emulator.root_filesystem import DIST_PACKAGES
from snapq.boards.transports.base import Command, Transport, connect
from tests.bundle.application.toolchain import compiled
from tests.bundle.bundles import make

COMPILER = "aarch64-linux-gnu-g++"
CAPI = f"/{DIST_PACKAGES}/onnxruntime/capi"
PICTURE = "picture.ppm"
HELPER = """
import numpy, snapq_io
package = snapq_io.load(".")
pixels = numpy.frombuffer(open("picture.ppm", "rb").read()[-37 * 45 * 3 :], numpy.uint8)
feeds = package.feeds({"image": package.preprocess(pixels.reshape(37, 45, 3))})
values = package.read(package.open_session("cpu").run(None, feeds))
for name, value in (*values.items(), *package.run_tail(values).items()):
    best, begins = value.argmax(), " ".join("%.9g" % one for one in value.flat[:8])
    print("%s: largest %.9g at %d; begins %s" % (name, value.flat[best], best, begins))
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which(COMPILER) is None,
        reason=f"there is no {COMPILER} (Debian: g++-aarch64-linux-gnu)",
    ),
]


@pytest.fixture(scope="module")
def library(board: EmulatedBoard, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the board's own ONNX Runtime, under the names that a linker looks for."""
    folder = tmp_path_factory.mktemp("lib")
    disk = Image(board.image, cache_folder() / "images" / board.image).disk
    listed = tools.run(("debugfs", "-R", f"ls -p {CAPI}", disk), doing="looking", hint="")
    (name,) = (part for part in listed.split("/") if part.startswith("libonnxruntime.so."))
    tools.run(
        ("debugfs", "-R", f"dump {CAPI}/{name} {folder / name}", disk), doing="copying", hint=""
    )
    for other in ("libonnxruntime.so", "libonnxruntime.so.1"):
        (folder / other).symlink_to(name)
    return folder


def test_the_cpp_program_of_a_cut_model_gives_the_helpers_values_on_aarch64(
    board: EmulatedBoard, library: Path, tmp_path: Path
) -> None:
    make(tmp_path, tail=True)
    bundle = tmp_path / "bundle"
    pixels = np.random.default_rng(5).integers(0, 256, (37, 45, 3)).astype(np.uint8)
    (bundle / PICTURE).write_bytes(b"P6\n45 37\n255\n" + pixels.tobytes())
    program = compiled(bundle, tmp_path, COMPILER, library)
    with connect(as_board(board, board.name).address) as transport:
        there = "/tmp/cpp"
        wanted = ("model.onnx", "tail.onnx", "manifest.json", "snapq_io.py", PICTURE)
        _put(transport, there, [program, *(bundle / name for name in wanted)])
        link = f"ln -sf {CAPI}/libonnxruntime.so.1.* libonnxruntime.so.1"
        ran = f"chmod +x program && LD_LIBRARY_PATH=. ./program model.onnx {PICTURE}"
        cpp = _shell(transport, f"cd {there} && {link} && {ran}")
        helper = _shell(transport, f"cd {there} && python3 -c '{HELPER}'")
        transport.run(Command(["rm", "-r", there]))
    assert cpp == helper
    assert "probabilities: largest" in cpp


def _put(transport: Transport, there: str, files: list[Path]) -> None:
    assert transport.run(Command(["mkdir", there])).code == 0
    for path in files:
        transport.put(path, f"{there}/{path.name}")


def _shell(transport: Transport, script: str) -> str:
    done = transport.run(Command(["sh", "-c", script], timeout_s=900, silence_s=900))
    assert done.code == 0, done
    return done.stdout.decode()
