"""The schema of deploy.yaml: the one place where it is defined.

`snapq.config_file.load` reads a YAML file into these models and turns what pydantic finds into
errors with file and line. The JSON Schema that `snapq schema` prints is exported from here: the
docstrings below are its descriptions, and the sentences of the validators are what a user reads.
"""

from __future__ import annotations

from snapq.config.base import FUNCTION_PATTERN, FilePath, Names, PerChannel, Size, Strict
from snapq.config.data import Color, Data, DataSource, Preprocess, Resample
from snapq.config.deploy import BenchmarkConfig, DeployConfig, Gates
from snapq.config.finetune import FinetuneConfig, Losses
from snapq.config.model import Io, IoDtype, IoLayout, Model
from snapq.config.prune import PruneConfig, PruneTarget, Sparsity
from snapq.config.quantize import (
    ClusterConfig,
    MixedPrecision,
    Override,
    PercentileObserver,
    QuantizeConfig,
    RepairConfig,
)
from snapq.config.stages import STAGE_OPTIONS, PackageConfig, PrepareConfig, StageItem, StageOptions

__all__ = [
    "FUNCTION_PATTERN",
    "STAGE_OPTIONS",
    "BenchmarkConfig",
    "ClusterConfig",
    "Color",
    "Data",
    "DataSource",
    "DeployConfig",
    "FilePath",
    "FinetuneConfig",
    "Gates",
    "Io",
    "IoDtype",
    "IoLayout",
    "Losses",
    "MixedPrecision",
    "Model",
    "Names",
    "Override",
    "PackageConfig",
    "PerChannel",
    "PercentileObserver",
    "PrepareConfig",
    "Preprocess",
    "PruneConfig",
    "PruneTarget",
    "QuantizeConfig",
    "RepairConfig",
    "Resample",
    "Size",
    "Sparsity",
    "StageItem",
    "StageOptions",
    "Strict",
]
