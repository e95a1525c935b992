"""The target `ssh://…` or a name of the inventory: a board that can be connected to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from snapq.benchmarking.targets.base import Candidate, Measurement, Progress
from snapq.benchmarking.targets.board_results import Setting, bench_records
from snapq.benchmarking.targets.results import check_labels, measurement_of, rows_of, with_batches
from snapq.benchmarking.targets.verdict import with_verdicts
from snapq.boards.environment import check_python, set_up
from snapq.boards.inventory import Board, find_board
from snapq.boards.session.load import Load, bundle_load, plain_load
from snapq.boards.session.measure import Limits, ReadyBoard, measure
from snapq.boards.session.probe import probe, profile_of
from snapq.boards.transports.address import ADDRESSES
from snapq.boards.transports.base import connect
from snapq.bundle.read import Bundle
from snapq.config import BenchmarkConfig
from snapq.devices.profiles import DeviceProfile
from snapq.errors import DeviceError
from snapq.progress import Progress as Reporter
from snapq.progress import Silent
from snapq.records import Origin


@dataclass(frozen=True)
class BoardTarget:
    """A board over a connection; sets its private environment up where that is missing."""

    names: ClassVar = {address.form: address.meaning for address in ADDRESSES}
    board: Board
    reporter: Reporter = field(default_factory=Silent)
    """Shows pushes and set-up."""
    limits: Limits = field(default_factory=Limits)
    where: Origin = Origin.MEASURED

    @property
    def name(self) -> str:
        """As the user named it."""
        return self.board.name

    @classmethod
    def named(cls, name: str, reporter: Reporter) -> BoardTarget | None:
        """The board of an address or of the inventory. Raises `ConfigError`."""
        board = find_board(name)
        return None if board is None else cls(board, reporter)

    def check(self, protocol: BenchmarkConfig) -> None:
        """Connects, and asks the board what it is. Raises as `measure`."""
        with connect(self.board.address) as transport:
            facts = probe(transport, self.board)
            check_python(facts, transport.address)
            profile_of(self.board, facts)
            if _allowed(protocol) == ("npu",) and not facts.has_npu:
                raise DeviceError(
                    "The board has no device node of an NPU (/dev/fastrpc-cdsp*).",
                    where=transport.address,
                    hint="`snapq devices probe` says what it lacks. To measure its CPU instead: "
                    "benchmark.allow: [npu, cpu], or --allow npu --allow cpu.",
                )

    def measure(
        self,
        candidates: Sequence[Candidate],
        protocol: BenchmarkConfig,
        progress: Progress | None = None,
    ) -> Measurement:
        """Times the candidates, interleaved; those with a bundle try what `allow` has.

        On an emulated board, keys of the protocol that nobody wrote have the defaults of counting.

        Raises:
            ConfigError: no candidates, or two with one label.
            InstallError: the board lacks Python, or no libraries exist for it.
            DeviceError: the board cannot be reached, refuses, or nothing that is allowed runs.
            ConnectionLostError: the connection broke.
        """
        check_labels([one.label for one in candidates])
        with connect(self.board.address) as transport:
            facts = probe(transport, self.board)
            check_python(facts, transport.address)
            if facts.emulated:
                protocol = protocol.for_counting()
            environment = set_up(transport, self.board, facts, self.reporter).path
            device = profile_of(self.board, facts)
            loads = [load_for(candidate, protocol, device) for candidate in candidates]
            check_labels([one.label for one in loads])
            ready = ReadyBoard(transport, self.board, environment, self.reporter, self.limits)
            session = measure(ready, loads, protocol, progress, settle=0 if facts.emulated else 1)
        setting = Setting(
            target=self.name,
            transport=self.board.address.kind,
            facts=facts,
            device=device,
            protocol=protocol,
            where=Origin.EMULATED if facts.emulated else self.where,
        )
        names = [candidate.model.name for candidate in candidates]
        rows = [rows_of(candidate) for candidate in candidates]
        records = bench_records(setting, session, loads, names, rows)
        records = with_batches(records, [load.batch for load in loads])
        return measurement_of(with_verdicts(records, candidates))


def _allowed(protocol: BenchmarkConfig) -> tuple[str, ...]:
    return protocol.allow or ("npu",)


def load_for(candidate: Candidate, protocol: BenchmarkConfig, device: DeviceProfile | None) -> Load:
    """What goes to the board: of a bundle the package of its device. Raises `StorageError`."""
    allowed = _allowed(protocol)
    if candidate.bundle is None:
        options = None
        if protocol.baseline == "fp16" and "npu" in allowed:
            options = {
                "backend_type": "htp",
                "enable_htp_fp16_precision": "1",
                "htp_performance_mode": protocol.performance_mode,
                **({"soc_model": str(device.soc_id)} if device else {}),
            }
        asked = None if candidate.answers_of is None else Bundle.open(candidate.answers_of)
        return plain_load(candidate.label, candidate.model, candidate.feeds, options, asked)
    outer = Bundle.open(candidate.bundle)
    own = outer.package_for(None if device is None else device.name)
    label, feeds = candidate.label, candidate.feeds
    if own is not outer:  # another precision, which may take inputs of other types
        label = own.manifest.precision
        if own.manifest.host is None:  # which takes rows, as any other of it does
            feeds = next(own.golden_feeds(), feeds)
    return bundle_load(
        label,
        own,
        feeds,
        device=device,
        npu="npu" in allowed,
        cpu="cpu" in allowed,
        performance=protocol.performance_mode,
    )
