"""What is simulated for the proof, and what the package was run with already."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import snapq
from snapq.api.running import check
from snapq.bundle.manifest import read_manifest, write_manifest
from snapq.bundle.read import golden_file
from snapq.bundle.write import list_files, write_arrays
from snapq.pipeline.available import available
from snapq.pipeline.cache import Cache
from snapq.pipeline.evidence import outputs
from snapq.pipeline.steps import walk
from snapq.progress import Silent
from snapq.records import Figures
from snapq.stages.package.stage import BUNDLE

pytestmark = pytest.mark.npu


def test_golden_outputs_are_not_simulated_again(project: Path) -> None:
    setting = check(snapq.load(project / "deploy.yaml", ["devices=[qcs9075]"]))
    (branch,) = walk(setting, available(setting), Cache(project / "cache"), Silent())
    bundle = branch.finished[-1].artifact.folder / BUNDLE

    def figures(folder: str) -> Figures:
        return outputs.EVIDENCE.found(branch.inputs, Cache(project / folder), Silent()).figures

    found = figures("with golden")
    manifest = read_manifest(bundle)
    name = golden_file(str(manifest.devices[0].golden), 0)
    output = manifest.outputs[0]
    write_arrays(bundle / name, {output.name: np.zeros(output.shape, output.dtype)})
    assert figures("damaged") == found  # all is simulated
    write_manifest(bundle, manifest.model_copy(update={"files": list_files(bundle)}))
    assert figures("other golden") != found
