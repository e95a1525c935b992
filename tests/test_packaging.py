"""What is installed has everything that the source tree has at run time, whichever way it came."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from snapq import version
from snapq.version import __version__

ROOT = Path(__file__).resolve().parents[1]
PROFILES = {path.name for path in (ROOT / "device_profiles").iterdir()}
READ_PROFILES = """
from snapq.devices.profiles import PACKAGED, all_profiles
print(PACKAGED, len(all_profiles()))
"""


def build(kind: str, source: Path, folder: Path) -> Path:
    """What hatchling builds out of `source`: an `sdist`, a `wheel`, or the `editable` wheel."""
    code = f"import sys, hatchling.build as b; print(b.build_{kind}(sys.argv[1]))"
    command = [sys.executable, "-c", code, str(folder)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=True)
    return folder / done.stdout.strip()


def built_wheel(way: str, folder: Path) -> Path:
    """The wheel that pip installs, with the checkout, an sdist of it or `--editable .` given."""
    if way == "editable":
        return build("editable", ROOT, folder)
    if way == "checkout":
        return build("wheel", ROOT, folder)
    with tarfile.open(build("sdist", ROOT, folder)) as archive:
        archive.extractall(folder / "sdist", filter="data")
    (source,) = (folder / "sdist").iterdir()
    return build("wheel", source, folder)


def run_installed(wheel: Path, folder: Path, code: str) -> str:
    """What `code` prints with this wheel, and not the environment's snapq, on Python's path."""
    site = folder / "site"
    if not site.exists():
        zipfile.ZipFile(wheel).extractall(site)
    libraries = sysconfig.get_paths()["purelib"]
    paths = f"import site, sys; site.addsitedir({str(site)!r}); sys.path.append({libraries!r})\n"
    command = [sys.executable, "-I", "-S", "-c", paths + code]
    environment = {**os.environ, "SNAPQ_DEVICE_PROFILES": str(folder / "none")}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize("way", ["checkout", "sdist"])
def test_a_wheel_has_every_file_of_the_package_and_every_device_profile(
    way: str, tmp_path: Path
) -> None:
    wheel = built_wheel(way, tmp_path)
    packed = set(zipfile.ZipFile(wheel).namelist())
    paths = [path for path in (ROOT / "snapq").rglob("*") if path.is_file()]
    files = {path.relative_to(ROOT).as_posix() for path in paths}
    assert {file for file in files if not re.search(r"/(\.|__pycache__)", file)} <= packed
    assert {"snapq/py.typed", "snapq/constraints.txt"} <= packed
    assert {"architectures.yaml", "sm8650.yaml", "qcs9075.yaml"} <= PROFILES
    assert {f"snapq/device_profiles/{name}" for name in PROFILES} <= packed
    folder = tmp_path / "site" / "snapq" / "device_profiles"
    count = len(PROFILES - {"architectures.yaml"})
    assert run_installed(wheel, tmp_path, READ_PROFILES) == f"{folder} {count}"


def test_an_editable_install_reads_the_profiles_of_the_checkout(tmp_path: Path) -> None:
    count = len(PROFILES - {"architectures.yaml"})
    printed = run_installed(built_wheel("editable", tmp_path), tmp_path, READ_PROFILES)
    assert printed == f"{ROOT / 'device_profiles'} {count}"


@pytest.mark.parametrize("way", ["checkout", "sdist"])
def test_a_wheel_says_from_which_commit_it_was_built(way: str, tmp_path: Path) -> None:
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    code = "from snapq import version; print(version.shown())"
    printed = run_installed(built_wheel(way, tmp_path), tmp_path, code)
    assert re.fullmatch(rf"{__version__} \(build {commit[:12]}\+?\)", printed)


def test_a_checkout_is_no_build() -> None:
    assert version.shown() == __version__


def test_nothing_says_to_install_from_an_index_what_is_on_none() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    kinds = (".md", ".py", ".yaml", ".yml", ".html", ".sh", "Makefile", "Dockerfile")
    files = [ROOT / name for name in listed if name.endswith(kinds) and (ROOT / name).is_file()]
    assert len(files) > 500
    wrong = [
        f"{file.name}: {line.strip()}"
        for file in files
        if file != Path(__file__)
        for line in file.read_text(encoding="utf-8").splitlines()
        if re.search(r"pip install\b[^`;)]*\bsnapq(?![\w./-])", line)
        if "--find-links" not in line and file.name != "CHANGELOG.md"
    ]
    assert wrong == []
