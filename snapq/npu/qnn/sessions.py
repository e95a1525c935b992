"""The one place where a session on the NPU is made, whatever it is for.

The provider fails in silence: it ignores options, and where its backend does not start, the whole
model runs on the CPU while the session still lists the provider. So every session here has options
that were checked, a SoC by number, a backend library that is there, the CPU forbidden unless asked
for, and its placement read back. `open_session` runs in a worker.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snapq.errors import InstallError, QnnError
from snapq.npu.qnn import availability, options
from snapq.npu.qnn.catalogue import explain
from snapq.npu.qnn.options import DEFAULTS, CompileOptions
from snapq.runtime import import_onnxruntime

if TYPE_CHECKING:
    from snapq.devices.profiles import DeviceProfile

PROVIDER = "QNNExecutionProvider"

_ERROR = 3
_WARNING = 2
_NODE_SUPPORT = "LogNodeSupport"
_NODE = re.compile(r"Operator type: (\S+) Node name: (.*?) Node index: \d+")
_FP16 = "enable_htp_fp16_precision"
_UNIT = re.compile(r"OrtNodeUnit \((\S+?)\)")
_LAYOUT_SUFFIX = re.compile(r"(_token_\d+)+$")
_ASIDE = re.compile(r"(?<=\.)\w+ node `[^`]*` will not be assigned to QNN EP\.?|\S+\.cc:\d+ \w+ ")


@dataclass(frozen=True)
class Request:
    """What a session is to be; made by `request`, opened by `open_session` in a worker."""

    model: str
    """Path of the ONNX file; relative to the worker's folder where it is not absolute."""
    shown: str
    """The user's name for the model, in messages."""
    provider: dict[str, str]
    allow_cpu: bool = False
    entries: dict[str, str] = field(default_factory=dict)
    """Further session configuration, such as `ep.context_enable`."""


@dataclass(frozen=True)
class AssignedNode:
    """A node of the graph that ONNX Runtime made of the model, and who runs it."""

    name: str
    """As in the model where the node comes from there; else a name that ONNX Runtime made."""
    op_type: str
    on_npu: bool
    partition: int
    """Index among the parts of the graph that run as one."""


@dataclass(frozen=True)
class Refusal:
    """A node unit that the provider did not take."""

    op_type: str
    nodes: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Report:
    """What was read back from a session; goes back to the caller."""

    nodes: tuple[AssignedNode, ...]
    refusals: tuple[Refusal, ...]

    @property
    def npu_partitions(self) -> int:
        """Number of parts of the graph on the NPU."""
        return len({node.partition for node in self.nodes if node.on_npu})


def request(
    model: str | Path,
    device: DeviceProfile,
    compile_options: CompileOptions = DEFAULTS,
    *,
    shown: str | None = None,
    allow_cpu: bool = False,
    provider: Mapping[str, str] | None = None,
    entries: Mapping[str, str] | None = None,
) -> Request:
    """Checks what can be checked before a worker starts.

    `provider` and `entries` are what snapq itself adds to the options; the rest is as in `Request`.

    Raises:
        InstallError: Qualcomm's runtime is not installed or damaged.
        ConfigError: an option is wrong.
        DeviceError: the device cannot do what is asked.
    """
    availability.require()
    wanted = compile_options.provider_options(device) | dict(provider or {})
    options.validate(wanted)
    return Request(
        model=str(model),
        shown=shown or Path(model).name,
        provider=dict(sorted(wanted.items())),
        allow_cpu=allow_cpu,
        entries=dict(entries or {}),
    )


def open_session(wanted: Request) -> tuple[Any, Report]:
    """Opens a session and reads back what became of each node. Runs in a worker.

    Raises:
        QnnError: the backend did not start, the model cannot be compiled, or nodes would run on the
            CPU although that is not allowed; the nodes are named with the reasons.
        InstallError: the library of the backend is not there, or the provider does not register.
    """
    ort = import_onnxruntime()
    log: list[tuple[int, str, str]] = []

    def keep(severity: int, _category: str, _logid: str, location: str, message: str) -> None:
        if severity >= _WARNING or (_NODE_SUPPORT in location and "FAILED" in message):
            log.append((severity, location, message))
        if severity >= _ERROR:  # also where it outlives a crash
            print(f"[E:{location}] {message}", file=sys.stderr, flush=True)

    ort.set_default_logger_callback(keep, _WARNING)
    session_options = ort.SessionOptions()
    session_options.log_severity_level = 0
    session_options.intra_op_num_threads = 1
    session_options.inter_op_num_threads = 1
    session_options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if not wanted.allow_cpu:
        session_options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    for key, value in wanted.entries.items():
        session_options.add_session_config_entry(key, value)
    session_options.add_provider_for_devices([_device(ort)], wanted.provider)
    try:
        session = ort.InferenceSession(wanted.model, session_options, enable_fallback=0)
    except Exception as error:
        raise _failure(error, log, wanted) from error
    nodes = tuple(
        AssignedNode(base_name(node.name), node.op_type, part.ep_name == PROVIDER, index)
        for index, part in enumerate(session.get_provider_graph_assignment_info())
        for node in part.get_nodes()
    )
    if not any(node.on_npu for node in nodes):
        _check_backend(log, wanted)
    report = Report(nodes, _refusals(log, wanted))
    if not wanted.allow_cpu and not all(node.on_npu for node in nodes):
        raise off_npu(report, wanted.shown)
    return session, report


def base_name(name: str) -> str:
    """A node's name without what ONNX Runtime's layout change appends (`conv_token_1`)."""
    return _LAYOUT_SUFFIX.sub("", name)


def _device(ort: Any) -> Any:
    """The provider's device, an NPU where the machine has one; registers the provider first."""
    import onnxruntime_qnn

    backend = Path(onnxruntime_qnn.get_qnn_htp_path())
    if not backend.is_file():
        raise InstallError(
            "The library of the NPU backend is missing; ONNX Runtime would run everything on the "
            "CPU without a word.",
            where=str(backend),
            hint="Run: pip install --force-reinstall onnxruntime-qnn",
        )
    if not any(device.ep_name == PROVIDER for device in ort.get_ep_devices()):
        try:
            ort.register_execution_provider_library(PROVIDER, onnxruntime_qnn.get_library_path())
        except Exception as error:
            raise InstallError(
                f"ONNX Runtime {ort.__version__} does not load the QNN execution provider: {error}",
                where=onnxruntime_qnn.get_library_path(),
                hint="Install versions that go together: pip install -U onnxruntime "
                "onnxruntime-qnn",
            ) from error
    devices = [device for device in ort.get_ep_devices() if device.ep_name == PROVIDER]
    if not devices:
        raise QnnError(
            "The QNN execution provider finds no device that it can run on here.",
            hint="On a board, check /dev/fastrpc-cdsp* and its permissions.",
        )
    npu = ort.OrtHardwareDeviceType.NPU
    return next((device for device in devices if device.device.type == npu), devices[0])


def _refusals(log: list[tuple[int, str, str]], wanted: Request) -> tuple[Refusal, ...]:
    """The node units that the provider refused, each once, from its last say on them."""
    found: dict[tuple[str, ...], Refusal] = {}
    for _, location, message in log:
        if _NODE_SUPPORT not in location:
            continue
        unit = _UNIT.search(message)
        names = tuple(base_name(name) for _, name in _NODE.findall(message))
        op_type = unit.group(1) if unit else ""
        if op_type.startswith(PROVIDER):  # a part that was already compiled
            continue
        _, _, reason = message.partition("REASON :")
        found[names or (op_type,)] = Refusal(op_type, names, _readable(reason, wanted))
    return tuple(found.values())


def _readable(reason: str, wanted: Request) -> str:
    """The provider's reason as one sentence, with the likely cause where it names none."""
    text = " ".join(_ASIDE.sub(" ", reason).split())
    if text.startswith("Failed to add node") and _FP16 not in wanted.provider:
        return "Failed to add node: without fp16 the NPU has it not, or not in these integers."
    return text if not text or text.endswith((".", "!", "?")) else text + "."


def _log_text(log: list[tuple[int, str, str]]) -> str:
    return "\n".join(
        f"[E:{location}] {' '.join(message.split())}"
        for level, location, message in log
        if level >= _ERROR
    )


def _check_backend(log: list[tuple[int, str, str]], wanted: Request) -> None:
    """Raises where nothing runs on the NPU because its backend did not start."""
    for level, _, message in log:
        if level >= _ERROR and "SetupBackend failed" in message:
            raise explain(message, where=_where(wanted))


def _failure(error: Exception, log: list[tuple[int, str, str]], wanted: Request) -> QnnError:
    """What stopped a session from opening: the first cause, not the last consequence."""
    _check_backend(log, wanted)
    refusals = _refusals(log, wanted)
    if refusals and "explicitly disabled" in str(error):
        return off_npu(Report((), refusals), wanted.shown)
    return explain(f"{type(error).__name__}: {error}", log=_log_text(log), where=_where(wanted))


def off_npu(report: Report, shown: str) -> QnnError:
    """Names the nodes that cannot run on the NPU."""
    lines = [
        f"{refusal.op_type} {' + '.join(refusal.nodes[:3]) or '(no name)'}: {refusal.reason}"
        for refusal in report.refusals
    ]
    if not lines:
        lines = [f"{n.op_type} {n.name}: no reason given." for n in report.nodes if not n.on_npu]
    if not lines:
        return QnnError(
            "No node is left for the NPU: the model computes nothing of what it is fed.",
            where=shown,
            hint="Check which outputs were exported: these are constants, or inputs as they come.",
        )
    listed = "; ".join(lines[:8])
    count = "1 node unit" if len(lines) == 1 else f"{len(lines)} node units"
    more = f" (and {len(lines) - 8} more)" if len(lines) > 8 else ""
    return QnnError(
        f"{count} cannot run on the NPU: {listed}{more}",
        where=shown,
        hint="Replace or rewrite these nodes (`snapq inspect` shows what can be done), or allow "
        "the CPU.",
    )


def _where(wanted: Request) -> str:
    return f"{wanted.shown} for SoC {wanted.provider.get('soc_model', '?')}"
