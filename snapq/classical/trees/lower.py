"""Tree ensembles on the NPU, bit for bit: from plain forms to a model and the steps around it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np

from snapq.classical.ensemble import Ensemble
from snapq.classical.estimator import Estimator
from snapq.classical.lowered import Lowered
from snapq.classical.trees import candidates, encoding, large, verification
from snapq.classical.trees.candidates import Candidate
from snapq.classical.trees.digits import EXACT_BITS, ROUGH_BITS
from snapq.classical.trees.encoding import Encoding
from snapq.classical.trees.forest import Forest, gather
from snapq.classical.trees.network import OUTPUT
from snapq.classical.trees.plan import Plan
from snapq.devices.profiles import DeviceProfile
from snapq.errors import ModelError, QnnError
from snapq.npu import model as npu
from snapq.progress import Progress, Silent

_MOST_VERIFIED = 4
"""Candidates that are tried out where the fastest are wrong."""


def lower(
    estimators: Sequence[Estimator],
    batch: int,
    devices: Sequence[DeviceProfile],
    *,
    form: str = "auto",
    exact: bool = True,
    progress: Progress | None = None,
    memory: npu.Memory | None = None,
) -> Lowered:
    """Chooses how the trees run fastest on the NPU, and proves on the simulator that it is exact.

    Args:
        estimators: with an `Ensemble` each; they become one model.
        batch: rows a call, B.
        devices: the model is verified on the arithmetic of each, and the fastest on average.
        form: `limbs` (any float32), `ranks` (less for the NPU, a search for the host), `integers`
            (all values are integers), or `auto`: limbs or ranks, whatever is faster.
        exact: keep values of leaves to 24 bits; else to 14, which may be faster.
        progress: told of candidates and of the verification.
        memory: what is known of estimates.

    Raises:
        ModelError: a leaf value is not finite, the trees are too large, or hold what the form
            cannot.
        QnnError: nothing compiles, or no candidate is exact on the simulator.
        DeviceError: no device with an estimate can run it.
    """
    _check(estimators)
    reporter, memory = progress or Silent(), memory or npu.Memory()
    candidates.check_size([e.form for e in estimators if isinstance(e.form, Ensemble)])
    forest = gather(estimators)
    if not forest.leaves:
        raise ModelError(
            "Every row gets the same result from these trees: there is nothing to compute.",
            where=forest.ensembles[0].name,
            hint="Train a model that splits, or leave it on the CPU.",
        )
    bits = EXACT_BITS if exact else ROUGH_BITS
    with reporter.track("Candidates for the NPU", candidates.COMPILATIONS) as advance:
        found = large.search(
            forest,
            encodings_of(forest, form),
            lambda trees, encoding, shape: Plan(trees, encoding, shape, batch, bits),
            lambda plan: candidates.estimate(plan, devices, memory),
            advance,
        )
    plan = first_exact(found, devices, memory, reporter)
    return Lowered(
        plan.model(),
        tuple(given.name for given in plan.encoding.inputs),
        (OUTPUT,),
        plan.encode(),
        plan.decode(),
        plan.exact,
        plan.note,
    )


def _check(estimators: Sequence[Estimator]) -> None:
    for estimator in estimators:
        form = estimator.form
        if isinstance(form, Ensemble) and not np.isfinite(form.values).all():
            raise ModelError(
                "A leaf adds a value that is not finite.",
                where=form.name,
                hint="Such a model gives infinity or NaN: train it again.",
            )


def encodings_of(forest: Forest, form: str) -> list[Encoding]:
    """The ways to send rows that a form allows.

    Raises:
        ModelError: it allows none for these thresholds.
    """
    makers = {"limbs": encoding.limbs, "ranks": encoding.ranks, "integers": encoding.integers}
    chosen = ("ranks", "limbs") if form == "auto" else (form,)
    found = [made for name in chosen if (made := makers[name](forest))]
    if not found:
        raise ModelError(
            f"A feature's thresholds take more than two bytes as {form}.",
            where=forest.ensembles[0].name,
            hint="Take `encoding: limbs`, which holds any thresholds.",
        )
    return found


def first_exact(
    found: Iterable[Candidate],
    devices: Sequence[DeviceProfile],
    memory: npu.Memory,
    reporter: Progress,
) -> Plan:
    """The fastest candidate whose every count is right on the simulator of each arithmetic.

    Raises:
        QnnError: there is none.
    """
    tested = verification.distinct(devices)
    wrong: list[str] = []
    name = ""
    with reporter.track("Verifying on the simulator", len(tested)) as advance:
        for candidate in islice(found, _MOST_VERIFIED):
            plan = candidate.plan
            name = plan.forest.ensembles[0].name
            rows = verification.testing_rows(plan)
            expected = verification.expected_counts(plan, rows)
            for device in tested:
                model = npu.Model(candidate.model.model, device, memory=memory)
                bad = verification.wrong_rows(plan, model, rows, expected)
                if bad:
                    wrong.append(f"{plan.note}: {bad} of {len(expected)} rows on {device.name}")
                    reporter.say(f"Not exact, so not taken: {wrong[-1]}.")
                    break
                advance(1)
            else:
                return plan
    raise QnnError(
        f"No way to put the trees onto the NPU gives the right sums: {'; '.join(wrong)}.",
        where=name,
        hint="Leave the model on the CPU, and report this with the model.",
    )
