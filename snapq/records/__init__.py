"""What a run writes down (`run.json`, `artifact.json`, `measurements/*.json`) and the report shows.

Every number carries its word: `where` says how a value came to be. Times are microseconds (`_us`)
or milliseconds (`_ms`), sizes are bytes, SQNR is dB.
"""

from __future__ import annotations

from snapq.records.base import Origin, Record
from snapq.records.figures import (
    AccuracyRecord,
    AdviceRecord,
    AgreementRecord,
    AnalysisRecord,
    AnswersRecord,
    BundleDeviceRecord,
    EstimateRecord,
    EstimatorRecord,
    FidelityRecord,
    Figures,
    FileRecord,
    ImportanceRecord,
    LatencyRecord,
    NodePlacement,
    PlacementRecord,
    SpeedupRecord,
    StepRecord,
)
from snapq.records.language import (
    ContextTimeRecord,
    LanguageModelRecord,
    PairBinaryRecord,
    PartTimeRecord,
    PerplexityRecord,
)
from snapq.records.prediction import PredictionRecord
from snapq.records.run import SCHEMA, GateRecord, Provenance, RunRecord, StageRecord
from snapq.records.search import (
    SEARCH_SCHEMA,
    SearchDimensionRecord,
    SearchRecord,
    SearchTrialRecord,
)
from snapq.records.tensors import (
    EncodingRecord,
    HistogramRecord,
    LayerRecord,
    SensitivityRecord,
    TradeoffRecord,
)

__all__ = [
    "SCHEMA",
    "SEARCH_SCHEMA",
    "AccuracyRecord",
    "AdviceRecord",
    "AgreementRecord",
    "AnalysisRecord",
    "AnswersRecord",
    "BundleDeviceRecord",
    "ContextTimeRecord",
    "EncodingRecord",
    "EstimateRecord",
    "EstimatorRecord",
    "FidelityRecord",
    "Figures",
    "FileRecord",
    "GateRecord",
    "HistogramRecord",
    "ImportanceRecord",
    "LanguageModelRecord",
    "LatencyRecord",
    "LayerRecord",
    "NodePlacement",
    "Origin",
    "PairBinaryRecord",
    "PartTimeRecord",
    "PerplexityRecord",
    "PlacementRecord",
    "PredictionRecord",
    "Provenance",
    "Record",
    "RunRecord",
    "SearchDimensionRecord",
    "SearchRecord",
    "SearchTrialRecord",
    "SensitivityRecord",
    "SpeedupRecord",
    "StageRecord",
    "StepRecord",
    "TradeoffRecord",
]
