"""Writes the constraints file: the newest versions of everything that pyproject.toml asks for.

    python scripts/lock.py snapq/constraints.txt

pip resolves the dependencies of snapq, of its extras and of the group `dev`, in an environment of
their own, for the Python that runs this script. `make lock` calls it; run the tests before
committing the result.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEADER = """\
# The versions that this release was tested with. `make lock` refreshes them, `make` installs them,
# and `snapq doctor` compares them with what is installed.
"""


def resolve() -> dict[str, str]:
    """Name and version of everything that pip would install into an empty environment."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        subprocess.run([*pip, "--upgrade", "pip"], check=True)
        report = Path(folder) / "report.json"
        wanted = ["pip", "--editable", ".[cluster,llm,search,train]", "--group", "dev"]
        options = ["--dry-run", "--ignore-installed", "--upgrade", "--report", report]
        subprocess.run([*pip, *options, *wanted], check=True, cwd=ROOT)
        installed = json.loads(report.read_text(encoding="utf-8"))["install"]
    # A build's own mark (2.13.0+cpu) and what only PyTorch's build for CUDA needs are left out.
    return {
        item["metadata"]["name"]: item["metadata"]["version"].partition("+")[0]
        for item in installed
        if not item["metadata"]["name"].startswith(("snapq", "nvidia-", "cuda-", "triton"))
    }


def main() -> None:
    """The command line."""
    target = Path(sys.argv[1])
    pins = sorted((name.lower().replace("_", "-"), version) for name, version in resolve().items())
    target.write_text(
        HEADER + "".join(f"{name}=={version}\n" for name, version in pins), encoding="utf-8"
    )
    print(f"{target}: {len(pins)} versions")


if __name__ == "__main__":
    main()
