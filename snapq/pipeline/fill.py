"""Fills a stage cache with what a deployment makes and proves, without a run directory.

On a cluster this is done elsewhere; the run itself then finds everything and writes its report.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from snapq.cluster.connection import Cluster, Ticket
from snapq.config import DeployConfig
from snapq.config.reading.secrets import hide
from snapq.errors import SnapqError
from snapq.graph.foreign import explaining
from snapq.pipeline import evidence
from snapq.pipeline.available import available
from snapq.pipeline.cache import Cache
from snapq.pipeline.inputs import load_setting
from snapq.pipeline.shipping import ship, submit
from snapq.pipeline.steps import walk
from snapq.progress import Silent
from snapq.stages.package.stage import BUNDLE

__all__ = ["fill_there", "travelling"]


def fill_there(
    cluster: Cluster,
    config: DeployConfig,
    cache: Path,
    say: Callable[[str], None],
    *,
    random_inputs: bool,
    fresh: bool,
) -> Ticket | None:
    """Hands a deployment to a cluster; what it makes comes into `cache`.

    Latencies are measured by the run itself, so targets, with their passwords, stay here.

    Args:
        cluster: the connection.
        config: the deployment.
        cache: the stage cache here.
        say: told why it is made here.
        random_inputs: as for `run`.
        fresh: as for `run`.

    Returns:
        The task; None of a deploy.yaml that names secrets elsewhere, or files that cannot be read:
        these are left to this machine, which says what is wrong.
    """
    text = travelling(config)
    if text is None:
        say("it has the value of a secret, and secrets do not travel.")
        return None
    try:
        shipment = ship(cluster, config)
    except SnapqError as error:
        say(" ".join(str(error).split()))
        return None
    work = partial(fill, random_inputs=random_inputs)
    return submit(cluster, work, text, shipment, cache, fresh=fresh)


def travelling(config: DeployConfig) -> str | None:
    """A deployment as JSON without its target; None where it has the value of a secret."""
    values = config.model_dump(mode="json", exclude_unset=True, exclude={"benchmark"})
    return json.dumps(values) if hide(values, config.secrets) == values else None


def fill(text: str, folder: str, cache: str, *, random_inputs: bool) -> None:
    """Makes and proves a deployment.

    Args:
        text: the deploy.yaml as JSON, all paths absolute.
        folder: of the file.
        cache: folder of the stage cache.
        random_inputs: as for `run`.

    Raises:
        SnapqError: as a run of it.
    """
    config = DeployConfig.model_validate_json(text, strict=True).at(Path(folder), {})
    with explaining(config.model.path):
        setting, kept = load_setting(config, random_inputs=random_inputs), Cache(Path(cache))
        branches = walk(setting, available(setting), kept, Silent())
        bundle: Any = branches[-1].finished[-1].artifact.folder / BUNDLE
        evidence.gather(setting, branches, kept, Silent(), bundle)
