"""Exports, quantizes and estimates networks of public packages: one line a network and precision.

    python -m benchmarks.zoo [NETWORK …] [--socs SOC,…] [--precisions PRECISION,…]
                             [--results FILE] [--folder DIR]

The networks are those of networks.yaml, with random weights (latency does not depend on them), in
an environment of their own, which is made from PyPI the first time. All networks are estimated for
the first SoC before any is for the others. Rows are appended to results.jsonl as they come; what is
in there is not made again, so the command resumes. A network that takes longer than `--timeout`
seconds is stopped, and its row says so.

Precisions are `given` (fp16, the float network as it was exported), `fp16` (as snapq prepares it),
`w8a8` and `w8a16` (preset `fast`, random calibration), with the boundary of Qualcomm's own
packages: floats at fp16 and codes otherwise, in the network's own layout. `deployed_fp16`,
`deployed_w8a8` and `deployed_w8a16` are as a run of snapq deploys the network (see
`benchmarks.zoo.deployed`), and go to deployed.jsonl: `--precisions deployed_w8a8`. In `failed`
stands why there is no estimate: where nodes do not run on the NPU, which.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.zoo.deployed import PREFIX
from benchmarks.zoo.environment import python
from benchmarks.zoo.networks import HERE, Network, networks

PRECISIONS = ("given", "fp16", "w8a8", "w8a16")
SOCS = ("qcs9075", "sa8797p", "soc114")
RESULTS = HERE / "results.jsonl"
DEPLOYED = HERE / "deployed.jsonl"
"""The same of networks as they are deployed, see `benchmarks.zoo.deployed`."""
PACKAGES = ("onnxruntime", "onnxruntime-qnn", "onnx", "onnx-ir")


def made_with() -> dict[str, str]:
    """The versions that the figures depend on."""
    pinned = dict(
        line.split("==") for line in (HERE / "requirements.txt").read_text().split() if "==" in line
    )
    return {name: version(name) for name in PACKAGES} | pinned


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of results; its first line says what it was made with."""
    if not path.is_file():
        return []
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [row for row in rows if "network" in row]


def export(network: Network, folder: Path) -> tuple[Path, str]:
    """The exported network, made where it is not there, and why it could not be made."""
    path = folder / f"{network.name}.onnx"
    if path.is_file():
        return path, ""
    spec = folder / f"{network.name}.json"
    spec.write_text(json.dumps(network.spec))
    part = folder / "part" / path.name
    part.parent.mkdir(exist_ok=True)
    command = [str(python()), str(HERE / "export.py"), str(spec), str(part)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return path, (done.stderr.strip().splitlines() or ["no message"])[-1][:300]
    for made in part.parent.iterdir():
        made.replace(folder / made.name)
    return path, ""


def measured(
    network: Network, path: Path, precisions: Sequence[str], socs: Sequence[str], timeout: float
) -> Iterator[dict[str, Any]]:
    """The rows of one network; what was not done in time says so."""
    module = "deployed" if precisions[0].startswith(PREFIX) else "measure"
    command = [sys.executable, "-m", f"benchmarks.zoo.{module}", network.name, str(path)]
    command += [",".join(precisions), ",".join(socs)]
    missing = {(precision, soc) for precision in precisions for soc in socs}
    reason = ""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as child:
        try:
            out, err = child.communicate(timeout=timeout)
            reason = (err.strip().splitlines() or [""])[-1][:300]
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, 9)
            out, _ = child.communicate()
            reason = f"not done in {timeout:.0f} s"
    for line in out.splitlines():
        row = json.loads(line)
        missing.discard((row["precision"], row["soc"]))
        yield row
    for precision, soc in sorted(missing):
        yield {"network": network.name, "precision": precision, "soc": soc, "failed": reason}


def rows(
    network: Network, wanted: Sequence[tuple[str, str]], folder: Path, timeout: float
) -> Iterator[dict[str, Any]]:
    """The rows of a network for the wanted precisions and SoCs."""
    if not wanted:
        return
    path, failed = export(network, folder)
    if failed:
        for precision, soc in wanted:
            failure = f"not exported: {failed}"
            yield {"network": network.name, "precision": precision, "soc": soc, "failed": failure}
        return
    precisions = list(dict.fromkeys(precision for precision, _ in wanted))
    needed = list(dict.fromkeys(soc for _, soc in wanted))
    for row in measured(network, path, precisions, needed, timeout):
        if (row["precision"], row["soc"]) in wanted:
            yield row


def main() -> None:
    """Appends the rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("networks", nargs="*", metavar="NETWORK")
    parser.add_argument("--socs", default=",".join(SOCS))
    parser.add_argument("--precisions", default=",".join(PRECISIONS))
    parser.add_argument("--results", type=Path)
    parser.add_argument("--folder", type=Path, default=Path("runs") / "zoo")
    parser.add_argument("--timeout", type=float, default=600)
    parser.add_argument("--again", action="store_true", help="try again what failed or lacks costs")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    socs, precisions = arguments.socs.split(","), arguments.precisions.split(",")
    asked = networks(arguments.networks)
    if len({precision.startswith(PREFIX) for precision in precisions}) > 1:
        parser.error("what is deployed goes to a file of its own: ask for it alone")
    results = arguments.results or (DEPLOYED if precisions[0].startswith(PREFIX) else RESULTS)
    had = read(results)
    if arguments.again:
        names = {network.name for network in asked}
        had = [
            row
            for row in had
            if not ("failed" in row or row["missing_ops"])
            or (row["network"] not in names or row["soc"] not in socs)
            or row["precision"] not in precisions
        ]
    write(results, had)
    for some in dict.fromkeys((tuple(socs[:1]), tuple(socs))):
        for network in asked:
            done = {(r["precision"], r["soc"]) for r in had if r["network"] == network.name}
            wanted = [(p, s) for p in precisions for s in some if (p, s) not in done]
            folder = arguments.folder.resolve()
            for row in rows(network, wanted, folder, arguments.timeout):
                had.append(row)
                with results.open("a") as log:
                    log.write(json.dumps(row) + "\n")
                print(told(row), flush=True)


def told(row: dict[str, Any]) -> str:
    """A row in a line."""
    figure = f"{row['us']:9.0f} us" if "us" in row else row["failed"][:120]
    return f"{row['network']:24} {row['precision']:5} {row['soc']:8} {figure}"


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Writes rows behind what they were made with."""
    lines = [json.dumps({"made_with": made_with()}), *map(json.dumps, rows)]
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
