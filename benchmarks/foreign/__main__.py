"""What snapq makes of models that other tools quantized: one table.

    python -m benchmarks.foreign [TOOL …] [--folder DIR] [--network NAME …]

Every tool quantizes the same two small networks with the same 32 samples, in an environment of its
own, which is made from PyPI the first time (in ~/.cache/snapq-foreign or $SNAPQ_FOREIGN, some
gigabytes in all). TFLite has the same networks in Keras. Each export goes through `snapq inspect`
and `snapq run` for three devices (v73, v68, v75); what is simulated is compared with the float
network on 24 other samples, as is the export as it is on the CPU. Exports stay in the folder and
are not made again.

A row holds where the package is within 1 dB of the export, or better, or where it is refused: the
command ends with 1 where one does not.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.foreign.judge import DEVICES, Verdict, judge
from benchmarks.foreign.tools import FLOATS, TOOLS, Tool, export

HEAD = (
    f"{'tool':18} {'version':8} {'network':17} {'scheme':34} {'given':>6} "
    + " ".join(f"{name:>7}" for name in DEVICES)
    + f" {'NPU/CPU':>8} {'as given':>8}"
)


def row(tool: Tool, network: str, scheme: str, verdict: Verdict) -> str:
    """One line of the table."""
    given = f"{verdict.given:6.1f}" if verdict.given is not None else "   n/a"
    start = f"{tool.label:18} {tool.version:8} {network:17} {scheme:34} {given} "
    if verdict.refused is not None:
        return f"{start}refused: {verdict.refused}"
    figures = " ".join(f"{value:7.1f}" for value in verdict.packaged.values())
    placed, before = ("/".join(map(str, pair)) for pair in (verdict.nodes, verdict.inspected))
    remarks = [f"{count} x {rule}" for rule, count in verdict.repairs.items()]
    mark = "" if verdict.holds else "  BELOW"
    return f"{start}{figures} {placed:>8} {before:>8}  {', '.join(remarks)}{mark}"


def exported(tool: Tool, network: str, scheme: str, folder: Path) -> tuple[Path, str]:
    """The export of a scheme, made where it is not there, and why it could not be made."""
    path = folder / "exports" / f"{tool.environment}-{network}-{scheme}.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file():
        return path, ""
    return path, export(tool, [str(folder), network, scheme, str(path)])


def reference(tool: Tool, network: str, folder: Path) -> Path:
    """The float network of a tool; TFLite has one of its own."""
    if tool.environment != "tf2onnx":
        return folder / f"{network}.onnx"
    return exported(tool, network, "float", folder)[0]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    names = [tool.environment for tool in TOOLS]
    parser.add_argument("tools", nargs="*", metavar="TOOL", help=", ".join(names))
    parser.add_argument("--folder", type=Path, default=Path("runs") / "foreign")
    parser.add_argument("--network", nargs="*", default=["conv", "transformer", "transformer-gelu"])
    arguments = parser.parse_args()
    chosen = arguments.tools or names
    if unknown := set(chosen) - set(names):
        parser.error(f"there is no tool {', '.join(unknown)}; there are {', '.join(names)}")
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "evaluation.npy").is_file() and (failed := export(FLOATS, [str(folder)])):
        sys.exit(failed)
    print(HEAD, flush=True)
    below = 0
    with (folder / "table.jsonl").open("a") as log:
        for tool in TOOLS:
            for network, schemes in tool.schemes.items():
                for scheme in schemes:
                    if tool.environment not in chosen or network not in arguments.network:
                        continue
                    path, failed = exported(tool, network, scheme, folder)
                    if failed:
                        print(f"{tool.label} {network} {scheme}: not exported: {failed}")
                        continue
                    verdict = judge(path, reference(tool, network, folder), folder)
                    print(row(tool, network, scheme, verdict), flush=True)
                    log.write(json.dumps({"export": path.stem, **asdict(verdict)}) + "\n")
                    below += not verdict.holds
    sys.exit(1 if below else 0)


if __name__ == "__main__":
    main()
