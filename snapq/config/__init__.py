"""The schema of deploy.yaml: the one place where it is defined.

`snapq.config.reading.load` reads a YAML file into these models and turns what pydantic finds into
errors with file and line. The JSON Schema that `snapq schema` prints is exported from here: the
docstrings below are its descriptions, and the sentences of the validators are what a user reads.
"""

from __future__ import annotations

from snapq.config.schema.base import FUNCTION_PATTERN, Strict
from snapq.config.schema.data import Align, ClassNumbers, Color, DataSource, Preprocess, Resample
from snapq.config.schema.deploy import BenchmarkConfig, DeployConfig
from snapq.config.schema.finetune import FinetuneConfig
from snapq.config.schema.gates import Gates
from snapq.config.schema.language import GraphTimes, LanguageDeployConfig, LanguageGates, PairModel
from snapq.config.schema.lower import LowerConfig
from snapq.config.schema.model import Io, IoDtype, IoLayout
from snapq.config.schema.prune import PruneConfig, PruneTrees, Sparsity
from snapq.config.schema.quantize import (
    ClusterConfig,
    MixedPrecision,
    Override,
    PercentileObserver,
    QuantizeConfig,
    RepairConfig,
)
from snapq.config.schema.search import SearchRange
from snapq.config.schema.stages import JudgeConfig, PackageConfig, PrepareConfig, StageOptions

__all__ = [
    "FUNCTION_PATTERN",
    "Align",
    "BenchmarkConfig",
    "ClassNumbers",
    "ClusterConfig",
    "Color",
    "DataSource",
    "DeployConfig",
    "FinetuneConfig",
    "Gates",
    "GraphTimes",
    "Io",
    "IoDtype",
    "IoLayout",
    "JudgeConfig",
    "LanguageDeployConfig",
    "LanguageGates",
    "LowerConfig",
    "MixedPrecision",
    "Override",
    "PackageConfig",
    "PairModel",
    "PercentileObserver",
    "PrepareConfig",
    "Preprocess",
    "PruneConfig",
    "PruneTrees",
    "QuantizeConfig",
    "RepairConfig",
    "Resample",
    "SearchRange",
    "Sparsity",
    "StageOptions",
    "Strict",
]
