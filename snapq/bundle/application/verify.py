"""Says whether this bundle works here: golden data, which node ran where, latency. Any system.

Of trees, SVMs and linear models it also answers golden rows, head and tail included, and compares
with ONNX Runtime's answers.

    python verify.py --device qcs9075      # on a machine with that SoC: its NPU
    python verify.py --cpu                 # the portable model on this machine's CPU

Needs numpy and onnxruntime, for the NPU onnxruntime-qnn too, and Python 3.9 or later. Every file
that is used is first compared with its SHA-256 in `manifest.json`. `measurement.json` is for
`snapq history import`. On x86_64 there is no Snapdragon's NPU: Qualcomm's simulator then stands for
it, its values count and its times do not, so that nothing is timed.

Ends with 0 where all is well, with 1 where outputs differ from the golden data, answers to golden
rows are wrong or nodes are not on the NPU, with 2 where it could not be tried.
"""

from __future__ import annotations

import argparse
import datetime
import gc
import hashlib
import importlib
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

DEPLOYMENT = "deployment.json"
SCHEMA = "snapq.verify/1"
PROVIDER = "QNNExecutionProvider"
PERFORMANCE = "burst"
EMULATED = "/etc/snapq/npu"
_RUN_OPTIONS = ("backend_type", "soc_model", "enable_htp_fp16_precision")
_MOST_REPEATS, _MOST_SECONDS = 100, 3600
_TURNS = 10
_SETTLE = 3


class VerifyError(Exception):
    """Why it could not be tried."""


def main() -> int:
    """Reads the command line, does the work, prints what was found."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # names of any language on any console
    options = _options()
    try:
        options.bundle = _package(options)
        if options.child:
            print(json.dumps(_measure(options)))
            return 0
        return _report(options)
    except VerifyError as error:
        print(f"verify.py: {error}", file=sys.stderr)
        return 2


def _options() -> argparse.Namespace:
    summary = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="verify.py", description=summary)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--device", metavar="SOC", help="a device of the bundle, on its NPU")
    where.add_argument("--cpu", action="store_true", help="the portable model on the CPU")
    parser.add_argument("--bundle", type=Path, default=Path(__file__).resolve().parent)
    # An emulated board counts instructions, which repeat to a thousandth.
    runs, seconds, warmup, repeats = (3, 0.0, 1, 1) if _emulated() else (100, 5.0, 10, 2)
    parser.add_argument("--min-runs", type=int, default=runs, help="timed runs, at least")
    parser.add_argument("--min-seconds", type=float, default=seconds, help="of them, at least")
    parser.add_argument("--warmup", type=int, default=warmup, help="runs before the clock starts")
    parser.add_argument("--repeats", type=int, default=repeats, help="fresh processes")
    parser.add_argument("--threads", type=int, default=1, help="of ONNX Runtime")
    parser.add_argument("--no-timing", action="store_true", help="golden data and placement alone")
    parser.add_argument("-o", "--output", type=Path, default=Path("measurement.json"))
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if min(options.min_runs, options.threads) < 1 or options.warmup < 0:
        parser.error("--min-runs and --threads are 1 or more, --warmup is 0 or more")
    if not 1 <= options.repeats <= _MOST_REPEATS:
        parser.error(f"--repeats is 1 to {_MOST_REPEATS}")
    if not 0 <= options.min_seconds <= _MOST_SECONDS:
        parser.error(f"--min-seconds is 0 to {_MOST_SECONDS}")
    simulated = not options.cpu and platform.machine().lower() in ("x86_64", "amd64")
    options.simulated = simulated
    options.timed = not (options.no_timing or simulated)
    place = options.output.absolute()
    if options.timed and (place.is_dir() or not os.access(str(place.parent), os.W_OK)):
        parser.error(f"{options.output} cannot be written")
    return options


# The parent: fresh processes, one after the other, and what they found.


def _report(options: argparse.Namespace) -> int:
    manifest = _manifest(options.bundle)
    options.batch = manifest.get("batch", 1)
    entry = _entry(manifest, options)
    checked = _check_files(options.bundle, manifest, entry)
    print(f"{checked} files are those of the manifest.")
    repeats = options.repeats if options.timed else 1
    started = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    clock = time.monotonic()
    found = [_child() for _ in range(repeats)]
    seconds = time.monotonic() - clock
    passed = _tell(found[-1], found, options)
    if options.timed:
        value = _file(options, manifest, entry, found)
        value.update(started_at=started, seconds=seconds)
        try:
            options.output.write_text(json.dumps(value) + "\n", encoding="utf-8")
        except OSError as error:
            raise VerifyError(f"{options.output} cannot be written: {error}") from error
        print(f"Wrote {options.output}; `snapq history import {options.output}` takes it.")
    return 0 if passed else 1


def _child() -> dict[str, Any]:
    """Runs this file once more; its last line is what it found."""
    command = [sys.executable, str(Path(__file__).resolve()), *sys.argv[1:], "--child"]
    done = subprocess.run(command, capture_output=True)
    lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
    if done.returncode or not lines:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = said[-1] if said else f"it ended with {done.returncode}"
        raise VerifyError(reason.replace("verify.py: ", ""))
    result: dict[str, Any] = json.loads(lines[-1])
    return result


def _tell(last: dict[str, Any], found: list[dict[str, Any]], options: argparse.Namespace) -> bool:
    """Prints what was found; whether all is well."""
    where = "the CPU" if options.cpu else f"the NPU of {options.device}"
    if options.simulated:
        where += ", simulated"
    placement = last["placement"]
    if None in (placement["npu"], placement["cpu"]):
        print(f"Ran on {where}; this ONNX Runtime does not tell which node ran where.")
    else:
        print(
            f"Ran on {where}: {placement['npu']} nodes on the NPU, {placement['cpu']} on the CPU."
        )
    for name, kind in placement["cpu_nodes"] if not options.cpu else ():
        print(f"  on the CPU: {name} ({kind})")
    exact = True
    for name, one in _golden(found).items():
        exact = exact and one["exact"]
        if one["exact"]:
            print(f"{name}: bit-exact with the golden data, {one['samples']} samples.")
        else:
            print(
                f"{name}: differs from the golden data by up to {one['largest']:g} {one['unit']} "
                f"of {one['span']:g}, {one['samples']} samples."
            )
    if options.cpu and not exact:
        print("  The golden data are the NPU's; a CPU rounds otherwise, which is no fault.")
    if not last["golden"]:
        print("There are no golden outputs to compare with.")
    _tell_times(found, options)
    right = _tell_answers(found)
    if options.cpu:
        return right  # the simulator rounds otherwise than a CPU
    return right and exact and not placement["cpu"]


def _tell_times(found: list[dict[str, Any]], options: argparse.Namespace) -> None:
    """Prints what a run takes, and what that is a sample."""
    if options.simulated:
        print("Not timed: on x86_64 the NPU is simulated.")
    if not options.timed:
        return
    times = sorted(ms for one in found for turn in one["turns"] for ms in turn)
    median, p99 = times[len(times) // 2], times[min(len(times) * 99 // 100, len(times) - 1)]
    if _emulated():  # whose clock counts instructions, one a nanosecond
        print(f"{len(times)} runs: median {median:.3f} million instructions (emulated).")
    else:
        print(f"Latency, {len(times)} runs: median {median:.3f} ms, p99 {p99:.3f} ms (measured).")
    if options.batch > 1:
        unit = "million instructions" if _emulated() else "ms"
        each = median / options.batch
        print(f"A run takes {options.batch} samples: {each:.3f} {unit} a sample.")


def _tell_answers(found: list[dict[str, Any]]) -> bool:
    """Prints how the golden rows of a classical model were answered; whether all is well."""
    right = True
    for name, one in found[-1]["answers"].items():
        met = all(each["answers"][name]["met"] for each in found)
        right = right and met
        if one["labels"]:
            other = one["rows"] - one["equal"] - one["ties"]
            text = f"{other} of {one['rows']} golden rows are answered otherwise than by"
        else:
            text = f"{one['rows']} golden rows are off by up to {one['largest']:.3g} from"
        print(f"{name}: {text} ONNX Runtime{'.' if met else ': WRONG.'}")
    return right


def _golden(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The worst over all samples and processes, output by output."""
    worst: dict[str, dict[str, Any]] = {}
    for one in found:
        for sample in one["golden"]:
            for name, said in sample.items():
                known = worst.setdefault(name, {**said, "samples": len(one["golden"])})
                known["exact"] = known["exact"] and said["exact"]
                for key in ("largest", "span"):
                    known[key] = max(known[key], said[key])
    return worst


def _file(
    options: argparse.Namespace,
    manifest: dict[str, Any],
    entry: dict[str, Any] | None,
    found: list[dict[str, Any]],
) -> dict[str, Any]:
    """What `snapq history import` takes."""
    model = _model(manifest, entry)
    parts = entry["files"] if entry is not None else [model]
    sizes = {item["path"]: item["bytes"] for item in manifest["files"]}
    hashes = {item["path"]: item["sha256"] for item in manifest["files"]}
    return {
        "schema_version": SCHEMA,
        "snapq_version": manifest["provenance"]["snapq"],
        "label": manifest["precision"],
        "model": {
            "name": Path(model).name,
            "sha256": hashes[model],
            "bytes": sum(sizes[path] for path in parts),
        },
        "device": None if entry is None else entry["device"],
        "soc_id": None if entry is None else entry["soc_id"],
        "architecture": None if entry is None else entry["architecture"],
        "golden_samples": manifest["golden_samples"] if _golden_folder(manifest, entry) else 0,
        "outputs": [item["name"] for item in manifest["outputs"]],
        **({"batch": manifest["batch"]} if "batch" in manifest else {}),
        "host": _host(),
        "protocol": {
            "warmup": options.warmup,
            "min_runs": options.min_runs,
            "min_duration_s": options.min_seconds,
            "repeats": options.repeats,
            "threads": options.threads,
            "performance_mode": None if options.cpu else PERFORMANCE,
        },
        "processes": found,
        **_deployment(options.bundle, hashes),
    }


def _deployment(folder: Path, hashes: dict[str, str]) -> dict[str, Any]:
    """Which deployment the bundle is of, where it tells."""
    if DEPLOYMENT not in hashes:
        return {}
    return {"deployment": json.loads((folder / DEPLOYMENT).read_text(encoding="utf-8"))}


def _host() -> dict[str, Any]:
    return {
        "host": platform.node(),
        "os": f"{platform.system()} {platform.version()}"[:200],
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpu": platform.processor(),
        "cores": os.cpu_count(),
        "emulated": _emulated(),
    }


def _emulated() -> bool:
    """Whether this is an emulated board of snapq's: its times are no times."""
    return Path(EMULATED).exists()


# The bundle.


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VerifyError(f"{folder} has no manifest.json that can be read: {error}") from error
    if not str(found.get("schema_version")).startswith("snapq.bundle/"):
        raise VerifyError(f"{folder} is not a bundle")
    said = {key: value for key, value in found.items() if key != "checksum"}
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    if found.get("checksum", "") != hashlib.sha256(text.encode()).hexdigest():
        raise VerifyError("manifest.json was changed after the bundle was written")
    return found


def _package(options: argparse.Namespace) -> Path:
    """The folder of the package of the device: devices may have bundles of their own inside."""
    folder: Path = options.bundle
    if options.cpu:
        return folder
    for entry in _manifest(folder).get("packages", ()):
        if options.device in entry["devices"]:
            inner = folder / str(entry["path"])
            try:
                digest = hashlib.sha256((inner / "manifest.json").read_bytes()).hexdigest()
            except OSError as error:
                raise VerifyError(f"{inner} cannot be read: {error}") from error
            if digest != entry["sha256"]:
                raise VerifyError(f"{inner} is not the package that manifest.json describes")
            return inner
    return folder


def _entry(manifest: dict[str, Any], options: argparse.Namespace) -> dict[str, Any] | None:
    if options.cpu:
        return None
    devices = manifest.get("devices") or manifest.get("targets") or []
    for entry in devices:
        if entry["device"] == options.device:
            found: dict[str, Any] = entry
            return found
    devices += [{"device": one} for p in manifest.get("packages", ()) for one in p["devices"]]
    names = ", ".join(entry["device"] for entry in devices) or "none"
    raise VerifyError(f"the bundle is not compiled for {options.device}; it is for {names}")


def _model(manifest: dict[str, Any], entry: dict[str, Any] | None) -> str:
    return str(manifest["model"] if entry is None else entry["model"])


def _golden_folder(manifest: dict[str, Any], entry: dict[str, Any] | None) -> str | None:
    """Golden outputs of the device; on the CPU those of the first device that has some."""
    devices = [entry] if entry is not None else manifest.get("devices", [])
    return next((one["golden"] for one in devices if one["golden"]), None)


def _check_files(folder: Path, manifest: dict[str, Any], entry: dict[str, Any] | None) -> int:
    """Compares the files that are used with the manifest; how many there are."""
    used = {_model(manifest, entry), DEPLOYMENT, *(entry["files"] if entry is not None else ())}
    golden = _golden_folder(manifest, entry)
    inside = tuple(f"{name}/" for name in ("golden/inputs", golden) if name)
    host = manifest.get("host")
    if host:
        used |= {manifest["helper"], host["arrays"]}
        inside += ("snapq_program/", "golden/rows/")
    count = 0
    for item in manifest["files"]:
        path = item["path"]
        if path not in used and not path.startswith(inside):
            continue
        digest = hashlib.sha256()
        try:
            with (folder / path).open("rb") as file:
                for block in iter(lambda: file.read(1 << 20), b""):
                    digest.update(block)
        except OSError as error:
            raise VerifyError(f"{path} cannot be read: {error}") from error
        if digest.hexdigest() != item["sha256"]:
            raise VerifyError(f"{path} is not the file that the manifest describes")
        count += 1
    return count


# The child: one process, one model.


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    try:
        import numpy as np
        import onnxruntime as ort
    except ImportError as error:
        raise VerifyError(f"{error}: pip install numpy onnxruntime") from error
    manifest = _manifest(options.bundle)
    entry = _entry(manifest, options)
    path = options.bundle / _model(manifest, entry)
    try:
        create_ms, session = _timed(lambda: _open(ort, path, entry, options))
        del session
        gc.collect()
        warm_ms, session = _timed(lambda: _open(ort, path, entry, options))
        golden = _compare_all(np, session, options.bundle, manifest, entry)
        answers = _answers(np, session, options.bundle, manifest, entry)
        feeds = _first_feeds(np, options.bundle, manifest)
        names = [output.name for output in session.get_outputs()]
        first_ms, _ = _timed(lambda: session.run(names, feeds))
        turns = _turns(lambda: session.run(names, feeds), options) if options.timed else []
    except VerifyError:
        raise
    except Exception as error:  # whatever a runtime raises: its words are the reason
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise VerifyError(text[:2000]) from error
    return {
        "create_ms": create_ms,
        "warm_ms": warm_ms,
        "first_ms": first_ms,
        "placement": _placement(session, entry is not None),
        "golden": golden,
        "answers": answers,
        "turns": turns,
        "versions": _versions(np, ort, entry is not None),
        "options": {} if entry is None else _provider_options(entry),
        "peak_bytes": _peak(),
    }


def _open(ort: Any, path: Path, entry: dict[str, Any] | None, options: Any) -> Any:
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    settings.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if entry is None:
        return ort.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    try:
        import onnxruntime_qnn
    except ImportError as error:
        raise VerifyError(f"{error}: pip install onnxruntime-qnn") from error
    if not any(one.ep_name == PROVIDER for one in ort.get_ep_devices()):
        ort.register_execution_provider_library(PROVIDER, onnxruntime_qnn.get_library_path())
    devices = [one for one in ort.get_ep_devices() if one.ep_name == PROVIDER]
    npu = [one for one in devices if one.device.type == ort.OrtHardwareDeviceType.NPU]
    if not devices:
        raise VerifyError("the QNN provider finds no device that it can run on here")
    settings.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    settings.add_provider_for_devices((npu or devices)[:1], _provider_options(entry))
    return ort.InferenceSession(str(path), settings, enable_fallback=0)


def _provider_options(entry: dict[str, Any]) -> dict[str, str]:
    known = entry["options"]
    chosen = {key: str(known[key]) for key in _RUN_OPTIONS if key in known}
    return {**chosen, "htp_performance_mode": PERFORMANCE}


def _placement(session: Any, npu: bool) -> dict[str, Any]:
    """How many nodes run where; None where this ONNX Runtime cannot tell."""
    ask = getattr(session, "get_provider_graph_assignment_info", None)
    if ask is None:
        return {"npu": None if npu else 0, "cpu": None, "partitions": None, "cpu_nodes": []}
    parts = list(ask())
    nodes = [(part.ep_name == PROVIDER, node) for part in parts for node in part.get_nodes()]
    off = [node for on_npu, node in nodes if not on_npu]
    return {
        "npu": len(nodes) - len(off),
        "cpu": len(off),
        "partitions": len(parts) if npu else None,
        "cpu_nodes": [[node.name[:200], node.op_type[:100]] for node in off[:20]] if npu else [],
    }


def _compare_all(
    np: Any, session: Any, folder: Path, manifest: dict[str, Any], entry: dict[str, Any] | None
) -> list[dict[str, Any]]:
    """How far each golden sample is from what the session gives, output by output."""
    place = _golden_folder(manifest, entry)
    if place is None:
        return []
    names = [output.name for output in session.get_outputs()]
    result = []
    for number in range(manifest["golden_samples"]):
        feeds = _arrays(np, folder / f"golden/inputs/{number:04d}.npz")
        expected = _arrays(np, folder / place / f"{number:04d}.npz")
        given = dict(zip(names, session.run(names, feeds)))
        result.append({name: _compared(np, value, given[name]) for name, value in expected.items()})
    return result


def _answers(
    np: Any, session: Any, folder: Path, manifest: dict[str, Any], entry: dict[str, Any] | None
) -> dict[str, Any]:
    """Of a classical model, how its answers to the golden rows compare with ONNX Runtime's."""
    host = manifest.get("host")
    if not host or not host["golden"]:
        return {}
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(folder))
    package = importlib.import_module("snapq_io").load(folder)
    program = importlib.import_module("snapq_program")
    answers = program.Answers()
    for number in range(manifest["golden_samples"]):
        arrays = _arrays(np, folder / host["golden"] / f"{number:04d}.npz")
        rows = {name[3:]: value for name, value in arrays.items() if name[:3] == "in."}
        given = {name[4:]: value for name, value in arrays.items() if name[:4] == "out."}
        found = package.predict(rows, session)
        answers.update(given, found, len(next(iter(rows.values()))))
    devices = [entry] if entry is not None else manifest["devices"]
    near = next((one["answers"] for one in devices if one.get("answers")), ())
    simulated = {one["output"]: one for one in near}
    result = {}
    for name, said in answers.plain():
        limit = program.limit_of(name, said, simulated)
        allowed = {"limit": limit.largest, "mean_limit": limit.mean, "met": limit.is_met(said)}
        result[name] = {**said, **allowed}
    return result


def _compared(np: Any, expected: Any, given: Any) -> dict[str, Any]:
    if expected.shape != given.shape or expected.dtype != given.dtype:
        raise VerifyError(f"an output is {given.dtype} {list(given.shape)} and not as it should be")
    wide = expected.astype(np.float64)
    gap = np.abs(wide - given.astype(np.float64))
    return {
        "exact": bool(np.array_equal(expected, given)),
        "largest": float(np.nanmax(gap)) if gap.size else 0.0,
        "span": float(np.nanmax(np.abs(wide))) if gap.size else 0.0,
        "unit": "steps" if expected.dtype.kind in "iu" else "absolute",
    }


def _first_feeds(np: Any, folder: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """The first golden sample; zeros where there is none."""
    if manifest["golden_samples"]:
        return _arrays(np, folder / "golden/inputs/0000.npz")
    return {item["name"]: np.zeros(item["shape"], item["dtype"]) for item in manifest["inputs"]}


def _arrays(np: Any, path: Path) -> dict[str, Any]:
    with np.load(str(path), allow_pickle=False) as file:
        return {name: np.asarray(file[name], order="C") for name in file.files}


def _turns(run: Any, options: Any) -> list[list[float]]:
    """Latencies in ms, a row a turn, this process's share of runs and seconds."""
    for _ in range(options.warmup):
        run()
    estimate, _ = _timed(run)
    runs = -(-options.min_runs // options.repeats)
    if estimate > 0:
        runs = max(runs, int(options.min_seconds * 1000 / options.repeats / estimate) + 1)
    emulated = _emulated()
    fewest = min(_TURNS, runs) if emulated else _TURNS
    each = max(-(-runs // fewest), 1)
    # What else the emulated board does hangs on the host's time, and is not the model's.
    clock, spent = time.process_time_ns if emulated else time.perf_counter_ns, 0.0
    turns: list[list[float]] = []
    while len(turns) < fewest or spent < options.min_seconds * 1000 / options.repeats:
        for _ in range(0 if emulated else _SETTLE):
            run()
        times = []
        gc.disable()
        for _ in range(each):
            started = clock()
            run()
            times.append((clock() - started) / 1e6)
        gc.enable()
        turns.append(times)
        spent += sum(times)
    return turns


def _versions(np: Any, ort: Any, npu: bool) -> dict[str, str]:
    found = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": ort.__version__,
    }
    if npu:
        from importlib import metadata

        found["onnxruntime-qnn"] = metadata.version("onnxruntime-qnn")
    return found


def _peak() -> int | None:
    """The most memory that this process held, in bytes; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(used) if sys.platform == "darwin" else int(used) * 1024


def _timed(work: Any) -> tuple[float, Any]:
    started = time.perf_counter_ns()
    result = work()
    return (time.perf_counter_ns() - started) / 1e6, result


if __name__ == "__main__":
    sys.exit(main())
