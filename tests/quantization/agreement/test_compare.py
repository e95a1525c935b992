"""What the comparison of the NPU with the CPU calls a fault."""

from __future__ import annotations

import numpy as np

from snapq.quantization.agreement.compare import Finding, compare, with_changes
from snapq.quantization.agreement.verdict import verdict

RANDOM = np.random.default_rng(0)


def noisy(truth: np.ndarray, decibels: float) -> np.ndarray:
    """The values with that much noise."""
    noise = RANDOM.normal(size=truth.shape) * np.sqrt(np.mean(truth**2)) * 10 ** (-decibels / 20)
    return (truth + noise).astype(np.float32)


def found(truth: np.ndarray, cpu: np.ndarray, npu: np.ndarray) -> list[Finding]:
    return [one.finding for one in compare([{"y": cpu}], [{"y": npu}], [{"y": truth}])]


def test_noise_far_beyond_the_cpus_is_a_fault_and_rounding_is_none() -> None:
    truth = RANDOM.normal(size=(1, 16, 20, 20)).astype(np.float32)
    cpu = noisy(truth, 38)
    assert found(truth, cpu, noisy(truth, 36)) == [Finding.AGREES]
    assert found(truth, cpu, noisy(truth, 12)) == [Finding.APART]
    assert found(truth, noisy(truth, 70), noisy(truth, 50)) == [Finding.AGREES]


def test_chance_on_a_few_elements_is_no_fault() -> None:
    truth = np.array([[2.0, -1.0]], np.float32)
    cpu, npu = truth + np.float32([0.01, 0.001]), truth + np.float32([0.05, 0.02])
    assert found(truth, cpu, npu) == [Finding.AGREES]


def test_dead_scores_beside_boxes_are_seen() -> None:
    boxes = RANDOM.uniform(0, 640, (1, 4, 100))
    truth = np.concatenate([boxes, RANDOM.uniform(0, 1, (1, 6, 100))], 1).astype(np.float32)
    coarse = np.rint(truth / 2.5).astype(np.float32) * np.float32(2.5)
    assert found(truth, coarse, coarse) == [Finding.AGREES, Finding.DEAD]
    assert found(truth, truth, coarse) == [Finding.AGREES, Finding.COLLAPSED]
    places = [one.place for one in compare([{"y": truth}], [{"y": coarse}], [{"y": truth}])]
    assert places == ["y[:, 0:4]", "y[:, 4:10]"]


def test_whole_numbers_are_compared_by_how_many_differ() -> None:
    truth = RANDOM.integers(0, 100, (1, 1000))
    few, many = truth.copy(), truth.copy()
    few[0, :10] += 1
    many[0, :400] += 1
    assert found(truth, few, few) == [Finding.AGREES]
    assert found(truth, few, many) == [Finding.APART]


def test_values_that_are_not_finite_on_the_npu_only_are_a_fault() -> None:
    truth = RANDOM.normal(size=(1, 64)).astype(np.float32)
    npu = truth.copy()
    npu[0, 3] = np.inf
    assert found(truth, noisy(truth, 38), npu) == [Finding.APART]


def test_an_output_that_differs_between_runs_of_one_sample_is_a_fault() -> None:
    truth = RANDOM.normal(size=(1, 64)).astype(np.float32)
    runs = [{"y": truth, "z": truth}, {"y": truth, "z": truth}, {"y": truth + 1, "z": truth}]
    findings = with_changes(compare(runs[:1], runs[:1], runs[:1]), runs)
    assert {one.output: one.finding for one in findings} == {
        "y": Finding.CHANGES,
        "z": Finding.AGREES,
    }
    assert "changes from run to run" in str(findings[0])


def test_one_element_far_off_among_few_is_no_chance_where_noise_does_not_explain_it() -> None:
    truth = RANDOM.normal(size=(1, 40)).astype(np.float32)
    cpu, npu = noisy(truth, 45), noisy(truth, 45)
    npu[0, 7] += 1.5
    references = {"cpu": [{"y": cpu}], "npu": [{"y": npu}], "reference": [{"y": truth}]}

    def finding(noise_db: float) -> Finding:
        runs = [[{"y": noisy(truth, noise_db)}] for _ in range(3)]
        (one,) = compare(**references, noisy=lambda: runs)
        return one.finding

    assert compare(**references)[0].finding is Finding.AGREES
    assert finding(40) is Finding.APART
    assert finding(12) is Finding.AGREES


def test_without_a_float_model_noise_says_how_far_the_npu_may_be_from_the_cpu() -> None:
    cpu = RANDOM.normal(size=(1, 16, 20, 20)).astype(np.float32)
    runs = [[{"y": noisy(cpu, 35)}] for _ in range(3)]

    def finding(npu: np.ndarray) -> Finding:
        (one,) = compare([{"y": cpu}], [{"y": npu}], None, noisy=lambda: runs)
        return one.finding

    assert finding(noisy(cpu, 20)) is Finding.APART
    assert finding(noisy(cpu, 32)) is Finding.AGREES


def test_rows_that_rounding_brings_into_another_order_are_no_fault() -> None:
    boxes, labels = RANDOM.normal(size=(40, 4)).astype(np.float32), np.arange(40) % 9
    orders = [RANDOM.permutation(40) for _ in range(4)]
    cpu = {"boxes": boxes, "labels": labels}
    npu, *runs = ({"boxes": boxes[one], "labels": labels[one]} for one in orders)

    def faults(chosen: tuple[str, ...], values: dict[str, np.ndarray]) -> set[str]:
        given = {"noisy": lambda: [[run] for run in runs], "chosen": chosen, "float16": True}
        return {one.output for one in compare([cpu], [values], None, **given) if one.finding.faulty}

    assert faults((), npu) == {"boxes", "labels"}
    assert faults(("boxes", "labels"), npu) == set()
    assert faults(("boxes", "labels"), {**npu, "boxes": 0 * boxes}) == {"boxes"}


def test_what_fp16_holds_as_zero_is_zero() -> None:
    far = np.full((4, 1), 2.6e-41, np.float32)
    (one,) = compare([{"y": far}], [{"y": np.zeros_like(far)}], None, float16=True)
    assert one.finding is Finding.AGREES


def test_the_sentence_says_where_values_are_too_small_for_fp16() -> None:
    small = np.linspace(1e-6, 2e-6, 64, dtype=np.float32)
    (one,) = compare([{"y": small}], [{"y": np.zeros_like(small)}], None, float16=True)
    assert one.finding is Finding.COLLAPSED
    assert str(one).endswith("as it reaches 2.0e-06, and fp16 begins at 6.1e-05")
    assert "Scale what is so small up" in verdict("qcs9075", [one], None).notes[0]
    (one,) = compare([{"y": small}], [{"y": np.zeros_like(small)}], None)
    assert "fp16" not in str(one)
