"""Measures models on a board. Runs on the board; the host reads its JSON lines.

The parent holds the lock, watches over time, host and children, and gives the turns. Each model
lives in a child process of its own, so that memory and state are its own and only one computes at
a time. A round goes A B, the next B A; every repeat starts the processes afresh in the other order.
Nothing falls back in silence: each entry of a model's fallback chain that was not taken is told
with the reason, and on the NPU the CPU is forbidden.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import gc
import hashlib
import importlib.util
import json
import math
import os
import platform
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import Any

JOB: bytes | None = globals().get("JOB")  # given by whoever starts this
SOURCE: bytes = globals().get("SOURCE", b"")
BEAT_S = 2.0
ROUNDS = 50
SETTLE = 1
MAX_LOG_BYTES = 1 << 14
PROBLEM = re.compile(r"<[EW]>|\[[EF]:")
"""Lines of the libraries' log that tell of problems."""
CHILD_MEND = "Check the board's free memory and its log (dmesg), then try again."
NPU_NODES = ("fastrpc-cdsp*", "adsprpc-smd*")
PROVIDER = "QNNExecutionProvider"
_print_lock = threading.Lock()
_children: list[Child] = []


class ToldError(Exception):
    """Work that cannot go on, of which the host has been told already."""


class FailedError(Exception):
    """Work that cannot go on: what, where, hint."""


def tell(kind: str, **values: Any) -> None:
    """Sends one line to whoever started this process."""
    line = json.dumps({"type": kind, **values})
    with _print_lock:
        _answers.write(line.encode() + b"\n")
        _answers.flush()


# The parent.


def parent(job: dict[str, Any]) -> None:
    """Does what the host asks for, under the lock."""
    root = Path(job["root"]).expanduser()
    threading.Thread(target=_listen_to_host, args=(job["silence_s"],), daemon=True).start()
    tell("hello", pid=os.getpid(), started=_started())
    with _lock(root, job):
        threading.Thread(target=_beat, daemon=True).start()
        for candidate in job["candidates"]:
            verify(root, candidate)
        _prepare_environment(job["environment"])
        measure(job)
        tell("done")


def verify(root: Path, candidate: dict[str, Any]) -> None:
    """Checks every file against its hash before anything loads it; removes what is damaged."""
    folder = Path(candidate["folder"])
    bad = []
    for path, size, digest in candidate["files"]:
        place = folder / path
        plain = place.is_file() and not place.is_symlink() and place.stat().st_size == size
        if not plain or _digest(place) != digest:
            bad.append((path, digest))
    for path, digest in bad:
        for damaged in (folder / path, root / "objects" / digest):
            with contextlib.suppress(OSError):
                damaged.unlink()
    if bad:
        tell("damaged", files=[path for path, _ in bad])
        raise ToldError


def measure(job: dict[str, Any]) -> None:
    """Takes turns until every candidate has the runs and the time that the protocol asks for."""
    protocol = job["protocol"]
    tell("conditions", when="before", **conditions())
    tallies = [Tally(candidate, protocol) for candidate in job["candidates"]]
    repeats = protocol["repeats"]
    for repeat in range(repeats):
        if repeat and protocol["cooldown_s"]:
            time.sleep(protocol["cooldown_s"])
        order = tallies if repeat % 2 == 0 else tallies[::-1]
        _take_turns(order, (repeat + 1) / repeats, repeat == 0, job, tallies)
    tell("conditions", when="after", **conditions())


def _take_turns(
    order: list[Tally], goal: float, first: bool, job: dict[str, Any], tallies: list[Tally]
) -> None:
    children: list[tuple[Tally, Child]] = []
    try:
        for tally in order:
            started = _climb(tally, job, first)
            children.append((tally, started))  # at once: what was started must be closed
        while any(tally.share() < goal for tally in tallies):
            for tally, child in children:
                expected_s = (tally.runs + SETTLE) * tally.first_ms / 1000
                answer = child.ask(
                    "turn", runs=tally.runs, settle=SETTLE, limit_s=job["step_s"] + 10 * expected_s
                )
                tally.add(answer["ms"])
                tell("turn", label=tally.label, ms=answer["ms"])
            children.reverse()
            tell("progress", share=min(1.0, *(tally.share() for tally in tallies)))
        for tally, child in children:
            tell("usage", label=tally.label, **child.ask("usage"))
    finally:
        for _, child in children:
            child.close()


def _climb(tally: Tally, job: dict[str, Any], first: bool) -> Child:
    """Starts the candidate on the first of its fallbacks that works."""
    candidate, protocol = tally.candidate, tally.protocol
    for fallback in [tally.fallback] if tally.fallback else candidate["fallbacks"]:
        told = {"label": tally.label, "fallback": fallback["name"]}
        reason, log, child = _npu_absent() if fallback["npu"] else None, "", None
        if reason is None:
            child = Child(tally.label, job)
            try:
                loaded = child.ask(
                    "load", fallback=fallback, candidate=candidate, protocol=protocol
                )
            except FailedError as error:
                reason, log = error.args[0], child.log()
                child.close()
                if fallback["npu"] and first:
                    log = _explain(tally, fallback, job) or log
        if reason is not None or child is None:
            tell("fallback", **told, taken=False, reason=reason, log=log)
            continue
        tally.fallback, tally.first_ms = fallback, loaded["first_ms"]
        if first:
            tell("fallback", **told, taken=True, reason="", log="")
        tell("loaded", label=tally.label, **loaded)
        if candidate["feeds"]:
            warm = child.ask("turn", runs=max(1, protocol["warmup"]), settle=0)["ms"]
            warm = sorted(warm)[len(warm) // 2]
            tally.runs = tally.runs or max(
                math.ceil(protocol["min_runs"] / ROUNDS),
                math.ceil(protocol["min_duration_s"] / ROUNDS / max(warm / 1000, 1e-6)),
            )
        return child
    tell("exhausted", label=tally.label)
    raise ToldError


def _explain(tally: Tally, fallback: dict[str, Any], job: dict[str, Any]) -> str:
    """What Qualcomm's runtime says of a fallback that fails, when it is asked to say all.

    It is asked in a process of its own: whatever it says takes time where a model is measured.
    """
    child = Child(tally.label, job)
    load: dict[str, Any] = {
        "fallback": fallback,
        "candidate": tally.candidate,
        "protocol": tally.protocol,
    }
    try:
        with contextlib.suppress(FailedError):
            child.ask("load", **load, verbose=True)
    finally:
        log = child.log(limit=64 * MAX_LOG_BYTES)
        child.close()
    return "\n".join(filter(PROBLEM.search, log.splitlines()))[:MAX_LOG_BYTES]


class Tally:
    """What one candidate has done so far, over all of its processes."""

    def __init__(self, candidate: dict[str, Any], protocol: dict[str, Any]) -> None:
        self.candidate = candidate
        self.protocol = protocol
        self.label = candidate["label"]
        self.fallback: dict[str, Any] | None = None
        self.first_ms = 0.0
        self.runs = 0
        self._count = 0
        self._ms = 0.0

    def add(self, times_ms: list[float]) -> None:
        """Counts a turn."""
        self._count += len(times_ms)
        self._ms += sum(times_ms)

    def share(self) -> float:
        """How much of what the protocol asks for is there."""
        share = self._count / self.protocol["min_runs"]
        if self.protocol["min_duration_s"]:
            share = min(share, self._ms / 1000 / self.protocol["min_duration_s"])
        return float(share)


class Child:
    """A child process with one model, and the conversation with it."""

    def __init__(self, label: str, job: dict[str, Any]) -> None:
        self._label = label
        self._limit_s = job["step_s"]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        start = (
            f"import sys; r = sys.stdin.buffer.read; s = r({len(SOURCE)}); "
            "exec(compile(s, 'snapq-agent', 'exec'), "
            "{'__name__': '__main__', 'JOB': None, 'SOURCE': s})"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-B", "-c", start],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        _children.append(self)
        self._send(SOURCE)
        self._send(json.dumps(job["environment"]).encode() + b"\n")

    def ask(self, request: str, limit_s: float | None = None, **values: Any) -> dict[str, Any]:
        """Sends a request and waits for its answer, for a limited time."""
        limit = limit_s or self._limit_s
        watchdog = threading.Timer(limit, self._process.kill)
        watchdog.daemon = True
        watchdog.start()
        started = time.monotonic()
        try:
            self._send(json.dumps({"request": request, **values}).encode() + b"\n")
            assert self._process.stdout is not None
            line = self._process.stdout.readline()
        finally:
            watchdog.cancel()
        if not line.endswith(b"\n"):
            code = self._process.wait()
            if time.monotonic() - started >= limit:
                raise FailedError(
                    f"It gave no answer in {limit:g} s and was ended.", self._label, CHILD_MEND
                )
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            raise FailedError(f"Its process ended unexpectedly ({how}).", self._label, CHILD_MEND)
        answer: dict[str, Any] = json.loads(line)
        if answer.pop("type") == "failed":
            raise FailedError(answer["reason"], self._label, "")
        return answer

    def log(self, limit: int = MAX_LOG_BYTES) -> str:
        """The end of what the native libraries printed, up to `limit` bytes."""
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - limit))
        return self._errors.read().decode("utf-8", "replace")

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.wait()
        if self in _children:
            _children.remove(self)

    def _send(self, data: bytes) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # `ask` tells how it ended
            self._process.stdin.write(data)
            self._process.stdin.flush()


def _npu_absent() -> str | None:
    """Why no model can run on the NPU, as far as its device node tells."""
    nodes = sorted(node for pattern in NPU_NODES for node in Path("/dev").glob(pattern))
    if not nodes:
        return "The board has no device node of an NPU (/dev/fastrpc-cdsp*)."
    if not any(os.access(node, os.R_OK | os.W_OK) for node in nodes):
        return f"This user may not open the device node of the NPU, {nodes[0]}."
    return None


@contextlib.contextmanager
def _lock(root: Path, job: dict[str, Any]) -> Any:
    """Lets one host measure at a time; the lock dies with this process."""
    root.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + job["wait_s"]
    with (root / "lock").open("a+") as file:
        told = 0.0
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                file.seek(0)
                holder = file.read(1000)
            if time.monotonic() > deadline:
                raise FailedError(
                    "Somebody else measures on this board: {}.".format(holder or "unknown"),
                    str(root / "lock"),
                    "Wait for it to end, or ask them; a lock dies with its process.",
                )
            if time.monotonic() - told > BEAT_S:
                tell("waiting", holder=holder)
                told = time.monotonic()
            time.sleep(0.2)
        file.truncate(0)
        file.write(job["holder"])
        file.flush()
        yield


def _beat() -> None:
    """Shows the host that this process lives, and takes the conditions on the way."""
    while True:
        time.sleep(BEAT_S)
        tell("conditions", when="during", **conditions())


def _listen_to_host(silence_s: float) -> None:
    """Ends everything when the host hangs up or has not been heard for a while."""
    heard = [time.monotonic()]

    def watch() -> None:
        while time.monotonic() - heard[0] < silence_s:
            time.sleep(1)
        _die()

    threading.Thread(target=watch, daemon=True).start()
    while sys.stdin.buffer.read(1):
        heard[0] = time.monotonic()
    _die()


def _die() -> None:
    for child in _children.copy():
        with contextlib.suppress(OSError):
            child._process.kill()
    os._exit(1)


def _prepare_environment(environment: dict[str, Any]) -> None:
    """What must stand in the environment before a child starts: it is read when it is loaded."""
    os.environ.update({"ORT_DISABLE_TELEMETRY": "1", "OPENBLAS_NUM_THREADS": "1"})
    sys.path[:0] = environment["paths"]
    found = importlib.util.find_spec("onnxruntime_qnn")
    folders = []
    for place in (found.submodule_search_locations or []) if found else []:
        folders += [str(path.parent) for path in sorted(Path(place).rglob("libQnnHtp.so"))]
    for variable, separator, more in (
        ("LD_LIBRARY_PATH", ":", []),
        ("ADSP_LIBRARY_PATH", ";", ["/usr/lib/rfsa/adsp", "/vendor/lib/rfsa/adsp", "/dsp"]),
    ):
        before = [part for part in os.environ.get(variable, "").split(separator) if part]
        if folders:
            os.environ[variable] = separator.join([*folders, *before, *more])
    os.environ.update(environment["variables"])


def conditions() -> dict[str, Any]:
    """Temperature, clocks, load and memory, as far as the kernel tells."""
    zones = {}
    thermal = Path("/sys/class/thermal")
    for zone in sorted(thermal.glob("thermal_zone*"))[:64]:
        temperature = _number(zone / "temp")
        if temperature is not None:
            name = "{} {}".format(zone.name[len("thermal_zone") :], _text(zone / "type"))
            zones[name] = temperature / 1000
    cpus = sorted(Path("/sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq"))[:64]
    cooling = [_number(path / "cur_state") for path in thermal.glob("cooling_device*")]
    return {
        "at_s": time.monotonic(),
        "celsius": zones,
        "cpu_khz": [_number(cpu / "scaling_cur_freq") for cpu in cpus],
        "cpu_limit_khz": [_number(cpu / "scaling_max_freq") for cpu in cpus],
        "governors": sorted({_text(cpu / "scaling_governor") for cpu in cpus}),
        "cooling": max([state for state in cooling if state is not None], default=None),
        "load": os.getloadavg()[0],
    }


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()[:100]
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    try:
        return int(_text(path))
    except ValueError:
        return None


def _started() -> str:
    """Start time of this process in the kernel's ticks, by which it is told from a later one."""
    return Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


# The children.


class Model:
    """The requests that the parent can make of a child, one method each."""

    def load(self, values: dict[str, Any]) -> dict[str, Any]:
        """Opens the model twice, cold and warm; runs it once; compares with the golden data."""
        import numpy as np

        fallback, candidate, protocol = values["fallback"], values["candidate"], values["protocol"]
        self._folder = Path(candidate["folder"])
        model = self._folder / fallback["model"]
        if values.get("verbose"):
            import onnxruntime as ort

            ort.set_default_logger_severity(0)  # the libraries print all that they know
        before = _memory("VmRSS")
        _drop_from_cache(self._folder, candidate["files"])
        cold_ms, session = _timed(lambda: _open(model, fallback, protocol))
        del session
        gc.collect()
        warm_ms, self._session = _timed(lambda: _open(model, fallback, protocol))
        self._names = [output.name for output in self._session.get_outputs()]
        placement = _placement(self._session, fallback["npu"])
        if fallback["npu"] and placement["cpu"]:
            raise FailedError("{} nodes would run on the CPU.".format(placement["cpu"]))
        first_ms = 0.0
        if candidate["feeds"]:
            with np.load(str(self._folder / candidate["feeds"]), allow_pickle=False) as file:
                self._feeds = {name: np.ascontiguousarray(file[name]) for name in file.files}
            first_ms, _ = _timed(lambda: self._session.run(self._names, self._feeds))
        return {
            "create_cold_ms": cold_ms,
            "create_warm_ms": warm_ms,
            "first_ms": first_ms,
            "rss_before": before,
            "rss_loaded": _memory("VmRSS"),
            "placement": placement,
            "options": {k: str(v) for k, v in fallback["options"].items()},
            "golden": [self._compare(sample) for sample in candidate["golden"]],
            "runtime": _versions(fallback["npu"]),
        }

    def turn(self, values: dict[str, Any]) -> dict[str, Any]:
        """Runs `settle` times untimed, then `runs` times; gives the times in ms."""
        session, names, feeds = self._session, self._names, self._feeds
        clock = time.perf_counter_ns
        for _ in range(values["settle"]):
            session.run(names, feeds)
        times = []
        gc.disable()
        for _ in range(values["runs"]):
            started = clock()
            session.run(names, feeds)
            times.append(clock() - started)
        gc.enable()
        return {"ms": [nanoseconds / 1e6 for nanoseconds in times]}

    def usage(self, _values: dict[str, Any]) -> dict[str, Any]:
        """The most memory that this process ever held, and its processor time."""
        return {"rss_peak": _memory("VmHWM"), "processor_s": time.process_time()}

    def _compare(self, sample: dict[str, str]) -> dict[str, Any]:
        """Largest difference from the golden outputs, output by output."""
        import numpy as np

        with np.load(str(self._folder / sample["inputs"]), allow_pickle=False) as file:
            feeds = {name: file[name] for name in file.files}
        found = dict(zip(self._names, self._session.run(self._names, feeds)))
        result = {}
        with np.load(str(self._folder / sample["outputs"]), allow_pickle=False) as file:
            for name in file.files:
                expected, given = file[name], found[name]
                if expected.shape != given.shape or expected.dtype != given.dtype:
                    raise FailedError(f"Output {name} has another shape or type.")
                gap = np.abs(expected.astype(np.float64) - given.astype(np.float64))
                largest = float(np.nanmax(gap)) if gap.size else 0.0
                span = float(np.nanmax(np.abs(expected.astype(np.float64)))) if gap.size else 0.0
                result[name] = {
                    "exact": bool(np.array_equal(expected, given)),
                    "largest": largest,
                    "span": span,
                    "integer": expected.dtype.kind in "iu",
                }
        return result


def child() -> None:
    """Answers requests until the parent is gone."""
    global _answers
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    environment = json.loads(sys.stdin.buffer.readline())
    sys.path[:0] = environment["paths"]
    _answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what native libraries print must not fall between the answers
    requests: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_listen_to_parent, args=(requests,), daemon=True).start()
    model = Model()
    while True:
        values = json.loads(requests.get())
        try:
            tell("answer", **getattr(model, values.pop("request"))(values))
        except FailedError as error:
            tell("failed", reason=error.args[0])
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            tell("failed", reason=" ".join(text.split())[:2000])


def _listen_to_parent(requests: Any) -> None:
    for line in iter(sys.stdin.buffer.readline, b""):
        requests.put(line)
    os._exit(1)


def _open(model: Path, fallback: dict[str, Any], protocol: dict[str, Any]) -> Any:
    """A session on the fallback's processor, with its placement recorded."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = protocol["threads"]
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if not fallback["npu"]:
        options.log_severity_level = 3
        # Idle threads would go on spinning, and slow down whatever else is measured here.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        return ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    import onnxruntime_qnn

    if not any(device.ep_name == PROVIDER for device in ort.get_ep_devices()):
        ort.register_execution_provider_library(PROVIDER, onnxruntime_qnn.get_library_path())
    devices = [device for device in ort.get_ep_devices() if device.ep_name == PROVIDER]
    if not devices:
        raise FailedError("The QNN execution provider finds no device that it can run on here.")
    npu = [one for one in devices if one.device.type == ort.OrtHardwareDeviceType.NPU]
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    options.add_provider_for_devices((npu or devices)[:1], fallback["options"])
    return ort.InferenceSession(str(model), options)


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
        "cpu_nodes": [[node.name[:200], node.op_type[:100]] for node in off[:200]] if npu else [],
    }


def _versions(npu: bool) -> dict[str, str]:
    import numpy as np
    import onnxruntime as ort

    found = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": ort.__version__,
    }
    if npu:
        from importlib import metadata

        found["onnxruntime-qnn"] = metadata.version("onnxruntime-qnn")
    return found


def _drop_from_cache(folder: Path, files: list[list[Any]]) -> None:
    """Asks the kernel to forget the files, so that the first load reads them from the disk."""
    for path, _, _ in files:
        with contextlib.suppress(OSError, AttributeError), (folder / path).open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _memory(field: str) -> int:
    """A line of this process's memory in bytes; `ru_maxrss` counts what the parent held too."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return 0


def _timed(work: Any) -> tuple[float, Any]:
    started = time.perf_counter_ns()
    result = work()
    return (time.perf_counter_ns() - started) / 1e6, result


def main() -> None:
    """Is the parent where the host gave a job, and a child where the parent gave none."""
    if JOB is None:
        child()
        return
    code = 0
    try:
        parent(json.loads(JOB))
    except ToldError:
        pass
    except FailedError as error:
        what, where, hint = (*error.args, "", "")[:3]
        tell("error", what=what, where=where, hint=hint)
    except OSError as error:
        tell(
            "error",
            what=f"{os.strerror(error.errno) if error.errno else error}.",
            where=str(error.filename or ""),
            hint="Check the free disk space and the permissions on the board.",
        )
    except BaseException:
        traceback.print_exc()
        code = 1
    for one in _children.copy():
        one.close()
    sys.stderr.flush()
    os._exit(code)  # not through the interpreter's end: a thread waits for the host there


_answers = sys.stdout.buffer
if __name__ == "__main__":
    main()
