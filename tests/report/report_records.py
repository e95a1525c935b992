"""Records of runs, made by hand: a realistic one, and the odd ones that a report must survive."""

from __future__ import annotations

import math
from typing import Any

from snapq.records import (
    AccuracyRecord,
    BundleDeviceRecord,
    EncodingRecord,
    EstimateRecord,
    FidelityRecord,
    FileRecord,
    GateRecord,
    HistogramRecord,
    LatencyRecord,
    LayerRecord,
    NodePlacement,
    Origin,
    PlacementRecord,
    PredictionRecord,
    Provenance,
    RunRecord,
    SensitivityRecord,
    SpeedupRecord,
    StageRecord,
    StepRecord,
    TradeoffRecord,
)

DATASET = "500 images of data/val"
HOSTILE = (
    "<script>window.hacked=1</script>",
    "</script><script>window.hacked=2</script>",
    "<img src=x onerror=window.hacked=3>",
    "'\"><svg onload=window.hacked=4>",
    "[red]not red[/red] [link=file:///etc]x[/link]",
    "{{ 7 * 7 }} {% raw %} %{x} ${1+1}",
    "größe/层/שלום/😀",
    "escape\x1b[31mred\x07\u202etxt.exe\u2028end",
    "x" * 600,
    "/block.0/" * 60 + "conv",
)


def file(path: str, size: int, compressed: int | None = None) -> FileRecord:
    packed = size * 9 // 10 if compressed is None else compressed
    return FileRecord(
        path=path, sha256=f"{len(path):02x}9ad41c" * 8, bytes=size, bytes_compressed=packed
    )


def provenance() -> Provenance:
    return Provenance(
        snapq="0.1.0",
        python="3.11.9",
        platform="Linux-6.1.0-x86_64-with-glibc2.36",
        cpu="AMD EPYC 7B13",
        versions={"onnx": "1.22.0", "onnxruntime": "1.26.0", "onnxruntime-qnn": "2.7.0"},
        qairt="2.44.0.260225135250",
        command=("snapq", "run", "examples/efficientnet-lite0/deploy.yaml"),
        started_at="2026-11-23T09:12:41Z",
        config_sha256="a1" * 32,
        model_sha256="b2" * 32,
        calibration_sha256="c3" * 32,
        evaluation_sha256="d4" * 32,
    )


def empty(**changes: Any) -> RunRecord:
    """A run that has nothing but its provenance."""
    values: dict[str, Any] = {
        "name": "empty",
        "started_at": "2026-11-23T09:12:41Z",
        "seconds": 0.02,
        "finished": False,
        "provenance": provenance().model_copy(
            update={"qairt": None, "calibration_sha256": None, "evaluation_sha256": None}
        ),
        "config": {},
        "model": file("model.onnx", 0, 0),
        "devices": ("qcs9075",),
    }
    return RunRecord(**(values | changes))


def layers(amount: int) -> tuple[LayerRecord, ...]:
    operators = ("Conv", "Clip", "Conv", "Add", "GlobalAveragePool", "Gemm")
    return tuple(
        LayerRecord(
            name=f"/blocks/{index // 3}/{operators[index % 6].lower()}_{index}",
            op_type=operators[index % 6],
            output=f"/blocks/{index // 3}/{operators[index % 6].lower()}_{index}_output_0",
            macs=(index * 7919 % 97) * 310_000 if index % 6 in (0, 2, 5) else 0,
            parameters=(index * 31 % 53) * 2_400 if index % 6 in (0, 2, 5) else 0,
            bytes=1_200_000 - index % 80 * 11_000,
            sqnr_db=42 - index * 12 / amount - 6 * math.sin(index * 1.7) ** 2,
            where=Origin.SIMULATED,
            samples=4,
            us=1.5 + index % 7,
            timed_on="qcs9075",
            reads=(index - 1,) if index else (),
        )
        for index in range(amount)
    )


def tradeoff() -> tuple[TradeoffRecord, ...]:
    """The whole model at each precision, and two mixes: one tried, one taken."""
    rows = (
        ("w8a8", None, 0, 18.2, 224.0),
        ("w8a16", "uint16", 0, 33.9, 371.0),
        ("w8a8, 2 nodes in uint16", "uint16", 2, 24.1, None),
        ("w8a8, 3 nodes in uint16", "uint16", 3, 31.4, 231.5),
        ("fp16", "float16", 0, float("inf"), 995.0),
    )
    return tuple(
        TradeoffRecord(
            label=label,
            to=to,
            nodes=tuple(f"/block/<b>{index}</b>" for index in range(count)),
            value=value,
            unit="dB",
            met=value >= 30,
            chosen=count == 3,
            where=Origin.SIMULATED if us is not None else Origin.HOST,
            device="qcs9075" if us is not None else None,
            samples=16,
            us=us,
            estimated_on="qcs9075",
        )
        for label, to, count, value, us in rows
    )


def _tensor(index: int) -> SensitivityRecord:
    return SensitivityRecord(
        kind=("activation", "weight")[index % 2],
        name=f"/block/{index}/output_0",
        op_type="Add",
        sqnr_db=20.0 + index * 7 % 40,
        where=Origin.HOST,
        device=None,
        samples=4,
        cause="95% of its values lie between -1 and 1, in 4 of 256 steps" if index == 0 else None,
    )


def encodings(amount: int) -> tuple[EncodingRecord, ...]:
    return tuple(_encoding(index) for index in range(amount))


def _encoding(index: int) -> EncodingRecord:
    kind = ("activation", "weight", "bias")[index % 3]
    centre = 20 + index % 25
    counts = tuple(
        int(40_000 * math.exp(-((x - centre) ** 2) / (30 + index % 90))) for x in range(64)
    )
    channels = 32 if kind != "activation" else 1
    return EncodingRecord(
        tensor=f"/blocks/{index // 9}/tensor_{index}",
        kind=kind,
        dtype={"activation": "uint8", "weight": "int8", "bias": "int32"}[kind],
        scale=tuple(0.0231 * (1 + channel / 40) for channel in range(min(channels, 16))),
        zero_point=(113,) if kind == "activation" else (0,),
        axis=0 if channels > 1 else None,
        channels=channels,
        minimum=-2.61,
        maximum=3.27,
        histogram=HistogramRecord(low=-2.61, high=3.27, counts=counts)
        if kind == "activation"
        else None,
    )


def _estimate(label: str, device: str, us: float, **changes: Any) -> EstimateRecord:
    values: dict[str, Any] = {
        "label": label,
        "device": device,
        "estimated_on": device,
        "us": us,
        "us_lower": us * 0.82,
        "us_upper": us * 1.21,
        "cycles": int(us * 1400),
        "cycles_lower": int(us * 1150),
        "cycles_upper": int(us * 1700),
        "ddr_bytes": {"Input Fill": 150_528, "Weights": 4_930_000, "Output Spill": 4_000},
        "missing_ops": 0,
        "options": {"htp_graph_finalization_optimization_mode": "3"},
    }
    return EstimateRecord(**(values | changes))


def _prediction(label: str, us: float, **changes: Any) -> PredictionRecord:
    values: dict[str, Any] = {
        "label": label,
        "device": "qcs9075",
        "us": us,
        "us_lower": us * 0.9,
        "us_upper": us * 1.12,
        "estimated_on": "qcs9075",
        "estimate_us": us - 240,
        "networks": 42,
        "median_error": 0.054,
        "largest_error": 0.31,
        "coverage": 0.81,
        "published_us": us,
        "published_spread": 0.109,
    }
    return PredictionRecord(**(values | changes))


def _step(index: int, label: str, value: float) -> StepRecord:
    return StepRecord(
        label=label,
        stage=index,
        precision="w8a8" if label == "quantize" else "float",
        macs=391_000_000 - 20_000_000 * index,
        weight_bytes=18_500_000 // (index + 1),
        metric="top1",
        value=value,
        sqnr_db=40.0 / (index + 1),
        samples=500,
        dataset="500 images",
        where=Origin.HOST,
        estimate=_estimate(f"{label} at w8a8", "qcs9075", 184.0 - 5 * index),
    )


def _latency(label: str, p50: float) -> LatencyRecord:
    return LatencyRecord(
        label=label,
        target="local",
        where=Origin.MEASURED,
        threads=1,
        runs=412,
        warmup=10,
        mean_ms=p50 * 1.02,
        std_ms=p50 * 0.04,
        min_ms=p50 * 0.96,
        p50_ms=p50,
        p90_ms=p50 * 1.08,
        p99_ms=p50 * 1.3,
        max_ms=p50 * 1.9,
        create_ms=61.2,
        first_ms=p50 * 1.6,
        peak_rss_bytes=141_000_000,
        placement="cpu",
    )


def _target(device: str, soc_id: int, architecture: int) -> BundleDeviceRecord:
    return BundleDeviceRecord(
        device=device,
        soc_id=soc_id,
        architecture=architecture,
        vtcm_mb=8,
        files=(
            file(f"devices/{device}/model_ctx.onnx", 812, 430),
            file(f"devices/{device}/model_qnn.bin", 5_111_808, 4_402_113),
        ),
        options={"soc_model": str(soc_id), "htp_arch": str(architecture)},
        candidates=(
            {"optimization_mode": 2, "vtcm_mb": None, "us": 286.9, "kept": False},
            {"optimization_mode": 3, "vtcm_mb": None, "us": 232.8, "kept": True},
        ),
        reload="Loaded in a fresh process; 4 of 4 golden outputs are identical.",
        qairt="2.44.0.260225135250",
    )


def realistic(**changes: Any) -> RunRecord:
    """EfficientNet-Lite0 as a demonstration run would record it."""
    config = {
        "name": "efficientnet-lite0",
        "model": {"path": "efficientnet_lite0.onnx", "inputs": {"input": [1, 3, 224, 224]}},
        "devices": ["qcs9075", "sm8650"],
        "gates": {"max_accuracy_drop": 0.015, "npu_nodes": "all"},
    }
    values: dict[str, Any] = {
        "name": "efficientnet-lite0",
        "started_at": "2026-11-23T09:12:41Z",
        "seconds": 71.4,
        "finished": True,
        "provenance": provenance(),
        "config": config,
        "model": file("efficientnet_lite0.onnx", 18_583_000, 17_204_000),
        "devices": ("qcs9075", "sm8650"),
        "stages": (
            StageRecord(
                index=0,
                name="prepare",
                config={"skip": []},
                seconds=2.3,
                cached=True,
                model=file("stages/00-prepare/model.onnx", 18_560_000, 17_190_000),
                notes=("49 BatchNormalization nodes were fused into their convolutions.",),
                details={"passes": {"fuse_batch_normalization": 49, "remove_identity": 3}},
            ),
            StageRecord(
                index=1,
                name="prune",
                config={"ratio": 0.1},
                seconds=31.5,
                cached=False,
                model=file("stages/01-prune/model.onnx", 16_100_000, 14_900_000),
                notes=("head keeps its channels: 'logits' is an output of the model.",),
                details={
                    "layers": [
                        {"layer": f"blocks.{i}.expand", "operator": "Conv"}
                        | {"before": 1152, "after": 1152 - 32 * i}
                        for i in range(1, 9)
                    ]
                },
            ),
            StageRecord(
                index=2,
                name="quantize",
                config={"weights": "int8", "activations": "uint8", "per_channel": True},
                seconds=18.9,
                cached=False,
                model=file("stages/02-quantize/model.onnx", 4_930_000, 4_210_000),
                notes=("The input takes raw uint8 frames; its normalization is its encoding.",),
            ),
            StageRecord(
                index=3,
                name="package",
                config={"optimization_modes": [2, 3]},
                seconds=41.7,
                cached=False,
                model=file("bundle/model.onnx", 4_931_000, 4_211_000),
            ),
        ),
        "steps": tuple(
            _step(index, label, value)
            for index, (label, value) in enumerate(
                [("prepare", 0.878), ("cut", 0.81), ("repair", 0.865), ("quantize", 0.86)]
            )
        ),
        "accuracy": (
            _accuracy("float", 0.878, Origin.HOST, None),
            _accuracy("w8a8", 0.872, Origin.SIMULATED, "qcs9075"),
        ),
        "fidelity": (
            FidelityRecord(
                label="w8a8",
                output="probabilities",
                sqnr_db=24.61,
                sqnr_db_min=12.9,
                cosine=0.99823,
                samples=500,
                dataset=DATASET,
                where=Origin.SIMULATED,
                device="qcs9075",
            ),
        ),
        "estimates": (
            _estimate("fp16 unmodified", "qcs9075", 1034.6),
            _estimate("fp16 same boundary", "qcs9075", 868.0),
            _estimate("w8a8", "qcs9075", 232.8),
            _estimate("fp16 unmodified", "sm8650", 1034.6, estimated_on="qcs9075"),
            _estimate("fp16 same boundary", "sm8650", 868.0, estimated_on="qcs9075"),
            _estimate("w8a8", "sm8650", 232.8, estimated_on="qcs9075"),
        ),
        "predictions": (
            _prediction("w8a8", 512.0),
            _prediction("fp16 same boundary", 1064.0),
            PredictionRecord(
                label="w8a8", device="sm8650", reason="no latencies of sm8650 are public."
            ),
        ),
        "placements": tuple(
            PlacementRecord(label="w8a8", device=device, npu=64, cpu=0, partitions=1)
            for device in ("qcs9075", "sm8650")
        ),
        "latencies": (_latency("float32", 11.82), _latency("w8a8", 6.91)),
        "speedups": (
            SpeedupRecord(
                baseline="fp16 same boundary",
                candidate="w8a8",
                value=2.078,
                where=Origin.PREDICTED,
                device="qcs9075",
                interval=(1.77, 2.44),
            ),
            *(
                SpeedupRecord(
                    baseline=baseline,
                    candidate="w8a8",
                    value=value,
                    where=Origin.ESTIMATED,
                    device=device,
                )
                for device in ("qcs9075", "sm8650")
                for baseline, value in (("fp16 unmodified", 4.444), ("fp16 same boundary", 3.729))
            ),
            SpeedupRecord(
                baseline="float32",
                candidate="w8a8",
                value=1.711,
                where=Origin.MEASURED,
                device="local",
                interval=(1.684, 1.733),
                remarks=("The machine has 2 cores, and other work may have run on them.",),
            ),
        ),
        "layers": layers(80),
        "sensitivity": tuple(_tensor(index) for index in range(20)),
        "tradeoff": tradeoff(),
        "encodings": encodings(150),
        "bundle": (_target("qcs9075", 77, 73), _target("sm8650", 57, 75)),
        "bundle_files": (
            file("manifest.json", 6_120, 1_900),
            file("model.onnx", 4_931_000, 4_211_000),
            file("devices/qcs9075/model_qnn.bin", 5_111_808, 4_402_113),
            file("devices/sm8650/model_qnn.bin", 5_111_808, 4_402_113),
        ),
        "gates": (
            GateRecord(name="max_accuracy_drop", limit="0.015", found="0.006", passed=True),
            GateRecord(name="npu_nodes", limit="all", found="64 of 64", passed=True),
            GateRecord(name="min_estimated_speedup", limit="3.8", found="4.44", passed=True),
        ),
    }
    return RunRecord(**(values | changes))


def _accuracy(label: str, value: float, where: Origin, device: str | None) -> AccuracyRecord:
    return AccuracyRecord(
        label=label,
        metric="top1",
        value=value,
        samples=500,
        dataset=DATASET,
        where=where,
        device=device,
    )


def troubled() -> RunRecord:
    """Everything that a report must say loudly, at once."""
    good = realistic()
    return realistic(
        name="troubled",
        accuracy=tuple(x.model_copy(update={"random_inputs": True}) for x in good.accuracy),
        fidelity=(
            good.fidelity[0].model_copy(update={"random_inputs": True, "sqnr_db": math.inf}),
        ),
        estimates=(
            _estimate("fp16 unmodified", "qcs6490", 900.0, estimated_on="qcs9075", missing_ops=3),
            _estimate("w8a8", "qcs6490", 300.0, estimated_on="qcs9075", missing_ops=3),
        ),
        placements=(
            PlacementRecord(
                label="w8a8",
                device="qcs6490",
                npu=62,
                cpu=2,
                partitions=3,
                cpu_nodes=(
                    NodePlacement(
                        name="/head/loop",
                        op_type="Loop",
                        unit="cpu",
                        reason="Loop has no counterpart on the NPU.",
                    ),
                    NodePlacement(name="/head/nonzero", op_type="NonZero", unit="cpu"),
                ),
            ),
        ),
        speedups=(
            SpeedupRecord(
                baseline="float32",
                candidate="w8a8",
                value=0.0004,
                where=Origin.EMULATED,
                device="qemu",
            ),
        ),
        gates=(
            *good.gates[1:],
            GateRecord(name="max_accuracy_drop", limit="0.015", found="0.204", passed=False),
        ),
    )


def hostile() -> RunRecord:
    """Markup, escapes and giants wherever a name can stand."""
    good = realistic()
    names = [HOSTILE[index % len(HOSTILE)] for index in range(80)]
    return realistic(
        name=HOSTILE[1],
        devices=HOSTILE[:2],
        config={HOSTILE[0]: list(HOSTILE)},
        notes=HOSTILE,
        provenance=good.provenance.model_copy(
            update={
                "command": ("snapq", "run", *HOSTILE),
                "cpu": HOSTILE[2],
                "versions": {HOSTILE[1]: HOSTILE[0]},
            }
        ),
        model=file(HOSTILE[8], 10, 5),
        stages=(
            *(
                stage.model_copy(
                    update={"name": HOSTILE[1], "notes": HOSTILE, "details": {"x": name}}
                )
                for stage, name in zip(good.stages, HOSTILE, strict=False)
            ),
            good.stages[1].model_copy(update={"details": {"layers": _hostile_layers()}}),
        ),
        accuracy=tuple(
            x.model_copy(update={"metric": HOSTILE[0], "dataset": HOSTILE[3]})
            for x in good.accuracy
        ),
        fidelity=tuple(
            good.fidelity[0].model_copy(update={"output": name, "device": HOSTILE[1]})
            for name in HOSTILE
        ),
        estimates=tuple(x.model_copy(update={"device": HOSTILE[1]}) for x in good.estimates),
        predictions=(
            *(
                one.model_copy(update={"device": HOSTILE[1], "label": name, "board": name})
                for one, name in zip(good.predictions, HOSTILE, strict=False)
            ),
            good.predictions[2].model_copy(update={"reason": HOSTILE[2], "remarks": HOSTILE}),
        ),
        steps=tuple(
            step.model_copy(update={"label": name, "metric": name, "dataset": name})
            for step, name in zip(good.steps, HOSTILE, strict=False)
        ),
        latencies=tuple(
            x.model_copy(update={"target": HOSTILE[2], "label": HOSTILE[0]}) for x in good.latencies
        ),
        speedups=tuple(
            x.model_copy(update={"device": HOSTILE[1], "baseline": HOSTILE[8]})
            for x in good.speedups
        ),
        layers=tuple(
            layer.model_copy(update={"name": name, "op_type": name, "output": name})
            for layer, name in zip(good.layers, names, strict=True)
        ),
        encodings=tuple(
            item.model_copy(update={"tensor": name, "kind": HOSTILE[2], "dtype": HOSTILE[0]})
            for item, name in zip(good.encodings, names, strict=False)
        ),
        bundle_files=tuple(file(name, 100) for name in HOSTILE),
        gates=tuple(
            GateRecord(name=name, limit=name, found=name, passed=False) for name in HOSTILE
        ),
    )


def _hostile_layers() -> list[dict[str, Any]]:
    """What a prune stage says of layers whose names were not chosen kindly."""
    numbers = {"before": 64, "after": 32}
    return [{"layer": name, "operator": name, **numbers} for name in HOSTILE]


def large() -> RunRecord:
    """A model of 2,000 layers and 4,000 encodings."""
    return realistic(name="large", layers=layers(2_000), encodings=encodings(4_000))
