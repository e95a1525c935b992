"""What a deployment reads, sent to a worker of a cluster; what it left in a cache, brought back.

On the worker every file lies below one folder, at the path that it has here: `/home/me/a.onnx` at
`ROOT/home/me/a.onnx`. So a path is turned into the worker's by the root in front of it, and back by
leaving the root out.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from snapq.benchmarking.history.store import VARIABLE as HISTORY_VARIABLE
from snapq.cluster.bench import Bench
from snapq.cluster.connection import Back, Cluster, Ticket
from snapq.cluster.store import File
from snapq.config import DeployConfig
from snapq.devices.profiles import FOLDER_VARIABLE, user_folder
from snapq.errors import SnapqError, UnansweredError
from snapq.evaluation.sources import local_sources
from snapq.graph import io
from snapq.pipeline.cache import taken_in
from snapq.pipeline.localize import localize
from snapq.storage import storage_errors
from snapq.workers.pool import Wording, Worker

__all__ = ["Shipment", "Work", "modules", "reads", "ship", "submit"]

T = TypeVar("T")

Work = Callable[[str, str, str], T]
"""Does the work: takes the deploy.yaml as JSON, its folder, and the folder of the stage cache."""

_WORDING = Wording(
    subject="A trial on a worker",
    error=UnansweredError,
    crash_hint="Run it without --cluster to see where it ends.",
    timeout_hint="Give it a smaller model or fewer samples.",
    explain=lambda text, _: UnansweredError(f"A trial on a worker failed: {text}"),
)
_TRIAL_S = 24 * 3600.0
_CLOCK_S = 2.0
"""By how much the times of files may be off."""


@dataclass(frozen=True)
class Shipment:
    """The files of a deployment.

    Attributes:
        files: absolute path here, and content.
        folder: of the deploy.yaml.
        imports: folders from which modules of the user's are imported, beside that.
        profiles: folder of the user's own device profiles; empty where there are none.
    """

    files: tuple[tuple[str, File], ...]
    folder: str
    imports: tuple[str, ...]
    profiles: str

    @property
    def contents(self) -> tuple[File, ...]:
        """What has to be in the store of a worker."""
        return tuple(dict.fromkeys(file for _, file in self.files))


def ship(cluster: Cluster, config: DeployConfig) -> Shipment:
    """Names all that a deployment reads by its content.

    Raises:
        StorageError: a file cannot be read.
        ModelError: the model cannot be read.
    """
    own, profiles = dict(modules(config)), _profiles()
    paths = (*reads(config), *own, *profiles)
    files = {str(path): cluster.file(path) for path in dict.fromkeys(paths)}
    roots = {root for root in own.values() if root != str(config.folder.absolute())}
    return Shipment(
        tuple(files.items()),
        str(config.folder.absolute()),
        tuple(sorted(roots)),
        str(profiles[0].parent) if profiles else "",
    )


def submit(
    cluster: Cluster,
    work: Work[T],
    text: str,
    shipment: Shipment,
    cache: Path,
    *,
    fresh: bool = False,
) -> Ticket:
    """Has a worker do the work with a stage cache of its own, and brings back what is kept there.

    Args:
        cluster: the connection.
        work: a function of a module of snapq.
        text: the deploy.yaml as JSON, with absolute paths and no secrets; or what `work` reads so.
        shipment: what it reads.
        cache: the stage cache here.
        fresh: take what is kept in the place of what is here already.
    """

    def lacking(name: str) -> bool:
        kind, key, *_ = name.split("/")
        return fresh or not (cache / kind / key).exists()

    back = Back(lambda: taken_in(cache, fresh=fresh), lacking)
    return cluster.submit(_there, work, text, shipment, files=shipment.contents, back=back)


def reads(config: DeployConfig) -> list[Path]:
    """The files that a deployment names: the model with its weights, and data. None of a target."""
    found = [*io.files(config.model.path)]
    for named in dict.fromkeys(_named(config)):
        found += _all_files(named.absolute())
    return list(dict.fromkeys(found))


def _named(value: Any) -> Iterator[Path]:
    if isinstance(value, Path):
        yield value
    elif isinstance(value, BaseModel):
        for name, inner in value:
            if name not in ("benchmark", "model"):
                yield from _named(inner)
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _named(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _named(inner)


def _all_files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    with storage_errors(path):
        for place, folders, names in os.walk(path, followlinks=True):
            folders[:] = [name for name in sorted(folders) if not name.startswith(".")]
            for name in sorted(names):
                found = Path(place, name)
                if not name.startswith(".") and found.is_file():
                    yield found


def modules(config: DeployConfig) -> Iterator[tuple[Path, str]]:
    """The files of the user's functions, each with the folder from which it is imported."""
    base = config.folder.absolute()
    own = config.metric if isinstance(config.metric, Mapping) else {"": config.metric or ""}
    data = (config.data.calibration, config.data.training, config.data.evaluation)
    named = [*own.values(), *(source.python for source in data if source and source.python)]
    for reference in (one for one in named if ":" in one):
        for name, path in local_sources(reference.partition(":")[0], base).items():
            parts = len(name.split(".")) + (path.name == "__init__.py")
            yield path.absolute(), str(path.absolute().parents[parts - 1])


def _profiles() -> list[Path]:
    with suppress(SnapqError):
        return sorted(user_folder().absolute().glob("*.yaml"))
    return []


def _there(bench: Bench, work: Work[T], text: str, shipment: Shipment) -> T:
    """On the worker: in a process of its own, with a cache that its tasks of one client share."""
    root, cache = bench.folder() / "root", bench.shared("stages")
    for path, file in shipment.files:
        bench.lay_out(file, Path(f"{root}{path}"))
    Path(f"{root}{shipment.folder}").mkdir(parents=True, exist_ok=True)
    begun = time.time() - _CLOCK_S
    child = bench.owns(Worker(_WORDING))
    try:
        found: T = child.call(
            _in_child, work, text, shipment, str(root), str(cache), timeout_s=_TRIAL_S
        )
    except SnapqError as error:
        raise _localized(error, str(root)) from None
    for entry in _entries(cache, begun):
        for kept in localize(entry, str(root)):
            bench.keep(kept.relative_to(cache).as_posix(), kept)
    _make_room(cache, bench.limit, begun)
    return found


def _in_child(work: Work[T], text: str, shipment: Shipment, root: str, cache: str) -> T:
    os.environ[FOLDER_VARIABLE] = root + (shipment.profiles or "/none")
    os.environ[HISTORY_VARIABLE] = f"{root}/history"
    sys.path += [root + place for place in shipment.imports]
    here = json.loads(text)
    # Folders of files are named too.
    known = {str(one) for path, _ in shipment.files for one in (Path(path), *Path(path).parents)}
    there = json.dumps(_moved(here, known - {"/"}, root))
    return work(there, root + shipment.folder, cache)


def _moved(value: Any, files: set[str], root: str) -> Any:
    """The same JSON with the root in front of every path that was sent."""
    if isinstance(value, str):
        return root + value if value in files else value
    if isinstance(value, dict):
        return {name: _moved(inner, files, root) for name, inner in value.items()}
    if isinstance(value, list):
        return [_moved(inner, files, root) for inner in value]
    return value


def _entries(cache: Path, begun: float) -> Iterator[Path]:
    """What was kept or used since then: folders of artifacts and files of values."""
    for path in (*cache.glob("stages/*"), *cache.glob("values/*.json")):
        with suppress(OSError):
            if not path.name.startswith(".") and path.stat().st_mtime >= begun:
                yield path


def _make_room(cache: Path, limit: int, begun: float) -> None:
    """Removes the artifacts that were not used for longest, where there is more than the limit."""
    held = []
    for folder in cache.glob("stages/*"):
        with suppress(OSError):  # another worker removed it
            size = sum(path.stat().st_size for path in folder.rglob("*"))
            held.append((folder.stat().st_mtime, size, folder))
    total = sum(size for _, size, _ in held)
    for used, size, folder in sorted(held):
        if total <= limit or used >= begun:
            return
        shutil.rmtree(folder, ignore_errors=True)
        total -= size


def _localized(error: SnapqError, root: str) -> SnapqError:
    """The error as it would be told here."""
    told = (error.what, error.where, error.hint)
    what, where, hint = (one if one is None else one.replace(root, "") for one in told)
    return type(error)(what or "", where=where, hint=hint, also=error.also)
