"""Several graphs of the same weights in one context binary, which holds these once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from snapq.devices.profiles import DeviceProfile
from snapq.errors import QnnError
from snapq.npu.qnn import model_files, sessions, tasks, workers
from snapq.npu.qnn.compile_job import OUTPUT, context_entries
from snapq.npu.qnn.options import DEFAULTS, CompileOptions
from snapq.storage import atomic_folder

_SHARE = "ep.share_ep_contexts"
_LAST = "ep.stop_share_ep_contexts"


def compile_shared(
    models: Mapping[str, Path],
    device: DeviceProfile,
    out: Path,
    options: CompileOptions = DEFAULTS,
) -> dict[str, Path]:
    """Compiles graphs into one folder with one binary.

    Weights are shared where they are the same bytes with the same encoding. The simulator does not
    load such a binary, so it cannot be tried here.

    Args:
        models: files by the name that their `NAME_ctx.onnx` shall have.
        device: what for.
        out: the folder to write.
        options: of the compilation.

    Returns:
        The file to load of each, by name.

    Raises:
        QnnError: a graph does not compile, a node does not run on the NPU, or the compiler wrote
            more than one binary.
    """
    names = list(models)
    with atomic_folder(out) as folder, workers.Worker(out.parent) as worker:
        requests = []
        for name, path in models.items():
            files = model_files.read(path)
            model_files.check_compilable(files, fp16=options.fp16)
            model_files.stage(files, worker.scratch / name)
            entries = {
                **context_entries(embed=False),
                "ep.context_file_path": f"{OUTPUT}/{name}_ctx.onnx",
                _SHARE: "1",
                **({_LAST: "1"} if name == names[-1] else {}),
            }
            source = f"{name}/{model_files.STAGED_NAME}"
            requests.append(
                sessions.request(source, device, options, shown=path.name, entries=entries)
            )
        written = worker.scratch / OUTPUT
        written.mkdir()
        worker.call(tasks.read_back_each, requests)
        binaries = sorted(written.glob("*.bin"))
        missing = [name for name in names if not (written / f"{name}_ctx.onnx").is_file()]
        if len(binaries) != 1 or missing:
            raise QnnError(
                f"The compiler wrote {len(binaries)} binaries for {len(names)} graphs.",
                where=", ".join(missing) or None,
                hint="Ship the graphs apart.",
            )
        for path in sorted(written.iterdir()):
            path.replace(folder / path.name)
    return {name: out / f"{name}_ctx.onnx" for name in names}
