"""The programs in a bundle: compiled and run where there is a compiler."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from snapq.bundle import snapq_io
from snapq.bundle.application.facts import ApplicationFacts
from snapq.bundle.application.samples import samples, without_sample
from snapq.bundle.application.write import write_application
from tests.bundle.application import csharp
from tests.bundle.application.packages import KINDS, SPEECH
from tests.bundle.application.toolchain import STRICT, api, compiled, library, provider
from tests.bundle.bundles import make

pytestmark = pytest.mark.npu
NO_CPP = pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")
LABELS = tuple(f'class "{number}"' for number in range(10))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    path = tmp_path_factory.mktemp("pictures") / "picture.ppm"
    pixels = np.random.default_rng(5).integers(0, 256, (37, 45, 3)).astype(np.uint8)
    # A comment, as ImageMagick and GIMP leave there.
    path.write_bytes(b"P6\n# a comment\n45 37\n255\n" + pixels.tobytes())
    return path, pixels


@NO_CPP
def test_the_cpp_program_gives_the_helpers_values_on_the_cpu_and_on_the_simulator(
    bundle: Path, pictures: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    program = compiled(bundle, tmp_path)
    package = snapq_io.load(bundle)
    frame = package.preprocess(pictures[1])
    for device, arguments in (
        ("cpu", ["model.onnx", pictures[0]]),
        ("qcs9075", ["devices/qcs9075/model_ctx.onnx", pictures[0], provider()]),
    ):
        done = subprocess.run(
            [program, *arguments], cwd=bundle, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        session = package.open_session(device)
        (scores,) = package.read(session.run(None, package.feeds({"image": frame}))).values()
        best = int(scores.argmax())
        begins = " ".join(f"{value:.9g}" for value in scores[0, :8])
        wanted = f"scores: largest {scores[0, best]:.9g} at {best}; begins {begins}"
        assert wanted in done.stdout.splitlines()


@NO_CPP
@pytest.mark.parametrize(
    "kind", ["audio with state", "indices, flags and halves", "16-bit outputs"]
)
def test_the_cpp_programs_of_other_kinds_of_models_compile(kind: str, tmp_path: Path) -> None:
    state = {"stateN": "state"} if KINDS[kind] is SPEECH else {}
    write_application(tmp_path, KINDS[kind], ApplicationFacts(LABELS, state))
    done = subprocess.run(
        [
            *("g++", "-std=c++17", *STRICT, "-fsyntax-only", "-isystem", api()),
            *("-I", tmp_path / "include", tmp_path / "samples/main.cpp"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@NO_CPP
def test_the_cpp_program_of_a_cut_model_runs_the_tail(
    pictures: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    make(tmp_path, tail=True)
    bundle = tmp_path / "bundle"
    program = compiled(bundle, tmp_path)
    done = subprocess.run(
        [program, "model.onnx", pictures[0]],
        cwd=bundle,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    package = snapq_io.load(bundle)
    feeds = package.feeds({"image": package.preprocess(pictures[1])})
    values = package.read(package.open_session("cpu").run(None, feeds))
    found = package.run_tail(values)["probabilities"]
    begins = " ".join(f"{value:.9g}" for value in found[0, :8])
    assert done.stdout.splitlines()[-1].endswith(f"begins {begins}")


@NO_CPP
@pytest.mark.skipif(shutil.which("cmake") is None, reason="there is no CMake")
def test_cmake_builds_the_cpp_program(
    bundle: Path, pictures: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    ort = tmp_path / "ort"  # as the NuGet package has it, but for the library: that is the wheel's
    (ort / "build/native").mkdir(parents=True)
    (ort / "build/native/include").symlink_to(api())
    (library_file,) = {file.resolve() for file in library(tmp_path / "lib").iterdir()}
    configure = ["cmake", "-S", bundle / "samples", "-B", tmp_path / "build", f"-DORT={ort}"]
    configure += [f"-DORT_LIBRARY={library_file}", "-DCMAKE_BUILD_TYPE=Debug"]  # quick to build
    subprocess.run(configure, capture_output=True, check=True)
    subprocess.run(["cmake", "--build", tmp_path / "build"], capture_output=True, check=True)
    done = subprocess.run(
        [tmp_path / "build/main", bundle / "model.onnx", pictures[0]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "scores: largest" in done.stdout


@NO_CPP
@pytest.mark.skipif(shutil.which("cmake") is None, reason="there is no CMake")
@pytest.mark.parametrize(
    ("header", "said"),
    [(None, "There is no onnxruntime_cxx_api.h"), ("19", "are of ONNX Runtime 1.19")],
)
def test_cmake_says_what_is_wrong_with_onnx_runtime(
    bundle: Path, header: str | None, said: str, tmp_path: Path
) -> None:
    if header is not None:
        (tmp_path / "include").mkdir()
        (tmp_path / "include/onnxruntime_cxx_api.h").touch()
        (tmp_path / "include/onnxruntime_c_api.h").write_text(f"#define ORT_API_VERSION {header}\n")
    configure = ["cmake", "-S", bundle / "samples", "-B", tmp_path / "build", f"-DORT={tmp_path}"]
    configure.append(f"-DORT_LIBRARY={tmp_path}/libonnxruntime.so")
    done = subprocess.run(configure, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert said in " ".join(done.stderr.split())


@NO_CPP
@pytest.mark.skipif(shutil.which("cmake") is None, reason="there is no CMake")
@pytest.mark.parametrize(
    ("headers", "native"),
    [
        ("include", "lib"),
        ("build/native/include", "runtimes/linux-x64/native"),
        (
            "Plugins/iOS~/onnxruntime.xcframework/ios-arm64/onnxruntime.framework/Headers",
            "Plugins/Linux/x64",
        ),
    ],
    ids=["release archive", "NuGet", "npm"],
)
def test_cmake_finds_onnx_runtime_in_what_one_can_download(
    bundle: Path, headers: str, native: str, tmp_path: Path
) -> None:
    for folder, files in (
        (headers, ("onnxruntime_cxx_api.h", "onnxruntime_c_api.h")),
        (native, ("libonnxruntime.so",)),
    ):
        (tmp_path / "ort" / folder).mkdir(parents=True)
        for name in files:
            text = "#define ORT_API_VERSION 29\n" if name == "onnxruntime_c_api.h" else ""
            (tmp_path / "ort" / folder / name).write_text(text)
    configure = ["cmake", "-S", bundle / "samples", "-B", tmp_path / "build"]
    configure.append(f"-DORT={tmp_path / 'ort'}")
    done = subprocess.run(configure, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    cache = (tmp_path / "build/CMakeCache.txt").read_text()
    assert f"ORT_INCLUDE:PATH={tmp_path / 'ort' / headers}\n" in cache
    assert f"ORT_LIBRARY:FILEPATH={tmp_path / 'ort' / native}/libonnxruntime.so\n" in cache


def test_the_helper_opens_more_than_one_session_in_a_process(bundle: Path) -> None:
    package = snapq_io.load(bundle)
    first, second = (package.open_session("qcs9075") for _ in range(2))
    assert first.get_inputs()[0].name == second.get_inputs()[0].name


def test_the_python_program_runs(bundle: Path, pictures: tuple[Path, np.ndarray]) -> None:
    command = [sys.executable, "-B", bundle / "samples/main.py", pictures[0]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("scores (1, 10) largest at")


@pytest.mark.slow
def test_the_kotlin_programs_compile_against_the_java_api(tmp_path: Path) -> None:
    if shutil.which("kotlinc") is None:
        pytest.skip("there is no Kotlin compiler (Debian: kotlin)")
    sources = []
    for number, manifest in enumerate(KINDS.values()):
        text = samples(manifest, ApplicationFacts()).get("kotlin")
        if text is None:
            assert "no tensors of uint16" in without_sample(manifest)["kotlin"]
            continue
        sources.append(tmp_path / f"Main{number}.kt")
        sources[-1].write_text(f"package kind{number}\n{text}")
    assert len(sources) >= 3
    command = ["kotlinc", "-cp", api() / "classes.jar", *sources, "-d", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out").rglob("Main*Kt.class"))) == len(sources)


@pytest.fixture(scope="module")
def csharp_api(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return csharp.assembly(tmp_path_factory.mktemp("csharp"))


@pytest.mark.slow
def test_the_csharp_programs_compile_against_the_csharp_api(
    csharp_api: Path, tmp_path: Path
) -> None:
    for number, manifest in enumerate(KINDS.values()):
        text = samples(manifest, ApplicationFacts())["csharp"]
        (tmp_path / f"{number}.cs").write_text(f"namespace Kind{number} {{ {text} }}")
    csharp.compiled(tmp_path.glob("*.cs"), tmp_path / "all.dll", f"-r:{csharp_api}")


@pytest.mark.slow
def test_the_csharp_program_gives_the_helpers_values_on_the_cpu_and_on_the_simulator(
    csharp_api: Path, bundle: Path
) -> None:
    program = csharp_api.parent / "Program.exe"
    csharp.compiled([bundle / "samples/Program.cs"], program, f"-r:{csharp_api}")
    package = snapq_io.load(bundle)
    for device, arguments in (
        ("cpu", [bundle / "model.onnx"]),
        ("qcs9075", [bundle / "devices/qcs9075/model_ctx.onnx", provider()]),
    ):
        said = csharp.run(program, *arguments).split("scores: ")[1].split()[:8]
        session = package.open_session(device)
        image = np.zeros(session.get_inputs()[0].shape, np.uint8)
        (scores,) = package.read(session.run(None, {"image": image})).values()
        # It prints seven digits.
        np.testing.assert_allclose([float(one) for one in said], scores[0, :8], rtol=1e-6)
