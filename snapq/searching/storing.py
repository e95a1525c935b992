"""Optuna and the storage of studies: the one place that imports it, when it is first used."""

from __future__ import annotations

import importlib
import re
import sqlite3
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from snapq.errors import ConfigError, InstallError, StorageError

if TYPE_CHECKING:
    import optuna
    from optuna.storages import BaseStorage
    from optuna.study import Study

_WAIT_S = 60
"""How long a writer of SQLite waits for others."""
_SECRET = re.compile(r"pass|secret|token|key", re.IGNORECASE)
_HIDDEN = "***"


def library() -> ModuleType:
    """Optuna, quiet. Raises `InstallError` where it is not installed."""
    try:
        found = importlib.import_module("optuna")
    except ImportError as error:
        raise InstallError(
            f"`snapq search` needs Optuna, which cannot be imported ({error}).",
            hint="Run: pip install optuna",
        ) from error
    found.logging.set_verbosity(found.logging.ERROR)
    return found


def sqlite(path: Path) -> str:
    """The URL of a SQLite file."""
    return f"sqlite:///{path.absolute()}"


def shown(url: str) -> str:
    """A URL for a reader: without its password."""
    parts = urlsplit(url)
    host = parts.netloc
    if parts.password is not None:
        name = quote(parts.username or "", safe="")
        host = f"{name}:{_HIDDEN}@{host.rpartition('@')[2]}"
    query = [(k, _HIDDEN if _SECRET.search(k) else v) for k, v in parse_qsl(parts.query)]
    return urlunsplit(parts._replace(netloc=host, query=urlencode(query, safe="*/")))


def opened(url: str) -> BaseStorage:
    """The storage behind a URL; `journal:FILE` is Optuna's journal, which NFS can share.

    Raises:
        InstallError: Optuna, or the driver of the database, is not installed.
        StorageError: it cannot be opened.
    """
    storages: Any = library().storages
    scheme, _, rest = url.partition(":")
    if scheme == "journal" and rest:
        path = re.sub("^//", "", rest)
        with _told(url):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            backend = importlib.import_module("optuna.storages.journal")
            made: BaseStorage = storages.JournalStorage(backend.JournalFileBackend(path))
            return made
    if "://" not in url:
        raise ConfigError(
            f"{shown(url)!r} is no storage.",
            where="--storage",
            hint="Write sqlite:///FILE, journal:FILE or postgresql://USER@HOST/DATABASE.",
        )
    arguments: dict[str, Any] = {}
    with _told(url):
        if scheme == "sqlite":
            file = Path(url.partition(":///")[2])
            file.parent.mkdir(parents=True, exist_ok=True)
            arguments = {"creator": lambda: _connected(file)}
        storage: BaseStorage = storages.RDBStorage(url, engine_kwargs=arguments)
        return storage


def _connected(file: Path) -> sqlite3.Connection:
    """A connection that waits for other writers, and for the disk at checkpoints only.

    With a log of what is written (WAL) a process that is killed loses nothing; by default each of
    the two dozen commits of a trial waits for the disk.
    """
    made = sqlite3.connect(file, timeout=_WAIT_S, check_same_thread=False)
    made.execute("PRAGMA journal_mode=WAL")
    made.execute("PRAGMA synchronous=NORMAL")
    return made


def study(storage: BaseStorage, name: str, sampler: optuna.samplers.BaseSampler) -> Study:
    """The study of this name, made where there is none; time and loss are to be small."""
    found: Study = library().create_study(
        storage=storage,
        study_name=name,
        sampler=sampler,
        directions=["minimize", "minimize"],
        load_if_exists=True,
    )
    return found


class _told:  # noqa: N801  # a context manager
    """Turns errors of a database into ours, without its password."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or not isinstance(error, Exception):
            return
        if isinstance(error, ImportError):
            raise InstallError(
                f"The driver of this database is not installed ({error}).",
                where=shown(self._url),
                hint="For PostgreSQL: pip install 'psycopg[binary]', and write "
                "postgresql+psycopg://USER@HOST/DATABASE.",
            ) from None
        password = urlsplit(self._url).password
        reason = " ".join(str(getattr(error, "orig", None) or error).split())
        reason = reason.replace(self._url, shown(self._url))
        if password:
            reason = reason.replace(password, _HIDDEN)
        raise StorageError(
            f"The storage cannot be opened: {reason}",
            where=shown(self._url),
            hint="Check that it is there, and that it may be written.",
        ) from None
