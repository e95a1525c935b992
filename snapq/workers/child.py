"""The other side of `snapq.workers.pool`: a process that runs one function, or serves one.

Started as `python -m snapq.workers.child`, so that nothing of the caller's `__main__` is imported
again. Requests come as pickles on standard input, replies go as pickles to what standard output
was; from then on both standard streams lead to the file in which the caller captures what native
libraries print.
"""

from __future__ import annotations

import importlib
import os
import pickle
import shutil
import signal
import sys
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import Any, BinaryIO

from snapq.errors import SnapqError
from snapq.runtime import TELEMETRY_OFF

PATH_VARIABLE = "SNAPQ_WORKER_PATH"
"""The caller's import path."""
SCRATCH_VARIABLE = "SNAPQ_WORKER_SCRATCH"
"""Names the worker's own folder, which it removes if its caller vanishes."""
_TRIES = 10


class Failure:
    """An exception that is not snapq's own, as text: its class may not exist on the other side."""

    def __init__(self, error: BaseException) -> None:
        self.text = f"{type(error).__name__}: {error}"


def main() -> None:
    """Serves requests until the caller closes the pipe."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the caller ends its workers itself
    path = os.environ.get(PATH_VARIABLE, "").split(os.pathsep)
    sys.path += [entry for entry in path if entry and entry not in sys.path]
    os.environ.update(TELEMETRY_OFF)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    inbox: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, inbox), daemon=True).start()
    handler: Any = None
    while True:
        kind, *payload = inbox.get()
        try:
            if kind == "call":
                function, args = payload
                reply: Any = function(*args)
            elif kind == "serve":
                function, args = payload
                handler = function(*args)
                reply = None
            else:
                reply = handler(*payload)
        except SnapqError as error:
            reply = error
        except BaseException as error:
            reply = Failure(error)
        sys.stdout.flush()
        pickle.dump(reply, replies, protocol=pickle.HIGHEST_PROTOCOL)
        replies.flush()


def _listen(requests: BinaryIO, inbox: SimpleQueue[Any]) -> None:
    """Puts requests into the inbox; ends the process at once when the caller is gone."""
    while True:
        try:
            inbox.put(pickle.load(requests))
        except (EOFError, pickle.UnpicklingError):
            break
        except Exception as error:  # an argument whose class this process cannot import
            inbox.put(("call", _refuse, (Failure(error).text,)))
    scratch = os.environ.get(SCRATCH_VARIABLE)
    for _ in range(_TRIES if scratch else 0):  # what runs here still may write into it
        shutil.rmtree(Path(str(scratch)), ignore_errors=True)
        if not Path(str(scratch)).exists():
            break
    os._exit(0)


def _refuse(text: str) -> None:
    raise RuntimeError(f"the request cannot be read: {text}")


if __name__ == "__main__":
    # Imported under its own name, so that what it pickles can be read on the other side.
    importlib.import_module("snapq.workers.child").main()
