"""`sweep`: a deployment once for each of several values of one key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from snapq.api.public import public
from snapq.api.running import RUNS, run
from snapq.config import DeployConfig
from snapq.config.reading import load
from snapq.progress import Progress, Silent
from snapq.records import RunRecord

if TYPE_CHECKING:
    from snapq.cluster.connection import Ticket
    from snapq.report.sweep import SweepRecord


@dataclass(frozen=True)
class Sweep:
    """Runs with several values of one key: the folder of their page, and their figures."""

    folder: Path
    record: SweepRecord

    @property
    def page(self) -> Path:
        """The page with the curve."""
        return self.folder / "sweep.html"

    @property
    def passed(self) -> bool:
        """Whether every run finished and passed its gates."""
        return all(point.passed for point in self.record.points)


@public
def sweep(
    path: str | Path,
    option: str,
    overrides: Sequence[str] = (),
    *,
    runs: str | Path = RUNS,
    random_inputs: bool = False,
    fresh: bool = False,
    cluster: str | None = None,
    progress: Progress | None = None,
) -> Sweep:
    """Runs a deploy.yaml once for each of several values of one key.

    Args:
        path: the YAML file.
        option: `KEY=VALUE,VALUE,…`; the key is a path as in `overrides`, or the name of an option
            that only one stage of the file has, such as `ratio`.
        overrides: `key.path=value` items that hold for all runs.
        runs: directory of all runs; the page goes to `NAME/sweep-TIME` in it.
        random_inputs: as for `run`.
        fresh: as for `run`.
        cluster: as for `run`; the runs are made there side by side.
        progress: as for `run`.

    Returns:
        The figures of all runs, and where the page with the curve is.

    Raises:
        SnapqError: what is wrong, where, and a hint; where some of the runs fail, the page says
            so and the others still run.
    """
    from snapq.api.cluster import connected
    from snapq.pipeline.cache import in_use
    from snapq.pipeline.fill import fill_there
    from snapq.pipeline.run_directory import new_place
    from snapq.searching import sweep as engine

    key, values = engine.parse(option)
    path_of_key = engine.key_path(key, load(path, overrides))
    configs = [(text, load(path, [*overrides, f"{path_of_key}={text}"])) for text in values]
    name = configs[0][1].name
    place = new_place(Path(runs), name)
    folder = place.with_name(f"sweep-{place.name}")

    kept, reporter = Path(runs) / ".cache", progress or Silent()
    with in_use(kept), connected(cluster, reporter) as workers:

        def there(text: str, config: DeployConfig) -> Ticket | None:
            def say(why: str) -> None:
                reporter.say(f"{path_of_key}={text} is made here, not on the cluster: {why}")

            if workers is None:
                return None
            return fill_there(workers, config, kept, say, random_inputs=random_inputs, fresh=fresh)

        tickets = {text: there(text, config) for text, config in configs}

        def execute(config: DeployConfig) -> tuple[Path, RunRecord]:
            text = next(text for text, one in configs if one is config)
            ticket = tickets[text]
            if ticket is not None:
                with reporter.track(f"{path_of_key}={text} on the cluster"):
                    ticket.result()
            again = fresh and ticket is None
            done = run(
                config, runs=runs, random_inputs=random_inputs, fresh=again, progress=progress
            )
            return done.folder, done.record

        return Sweep(folder, engine.sweep(key, configs, execute, folder))
