"""What is read beside the clock while a row is measured: memory, energy, the share of the machine's peak."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from maskclr_edge.bench.flops import network_flops
from maskclr_edge.bench.measurement import NETWORK, SERVER, Measurement, Resources
from maskclr_edge.bench.peak import Peak, measure_peak
from maskclr_edge.bench.sensors import (
    EnergySensor,
    device_memory_mb,
    find_sensors,
    metered,
    reset_peak,
    resident_mb,
)
from maskclr_edge.checkpoint import ModelConfig


@dataclass
class Gauges:
    """The gauges of one suite: its sensors, its memory at the start, and the peaks measured on the way."""

    threads: int | None
    peak: bool
    sensors: list[EnergySensor]
    no_sensors: tuple[str, ...]
    start_mb: float | None
    peaks: dict[tuple[str, str], Peak | None] = field(default_factory=dict)

    @classmethod
    def of_this_machine(cls, threads: int | None, *, peak: bool) -> "Gauges":
        """Look for sensors, and note the memory before any model is opened."""
        sensors, reasons = find_sensors()
        return cls(threads, peak, sensors, tuple(reasons), resident_mb())

    def learn(self, runner: str, precision: str) -> None:
        """Measure the peak for a runner's rows in a precision, again in every pass: the best one counts."""
        if not self.peak:
            return
        new, old = measure_peak(runner, precision, self.threads), self.peaks.get((runner, precision))
        if new is None or old is None or new.gflops > old.gflops:
            self.peaks[runner, precision] = new

    def around(self, measure: Callable[[], Measurement], config: ModelConfig) -> Measurement:
        """The row that ``measure`` gives, with what it took."""
        reset_peak()
        with metered(self.sensors) as energy:
            row = measure()
        queries = row.warmup.calls + len(row.samples_ms)
        peak_mb = resident_mb("VmHWM")
        over = None if peak_mb is None or self.start_mb is None else peak_mb - self.start_mb
        flops = network_flops(config, frames=row.frames, persons=row.persons)
        # a server waits between queries: what it used then is no clip's
        joules = {} if row.scenario == SERVER else energy.joules
        return replace(
            row,
            resources=Resources(
                peak_mb, over, device_memory_mb(),
                {name: value / (queries * row.batch) for name, value in joules.items()},
                flops / 1e9 if row.part == NETWORK else None,
            ),
        )  # fmt: skip

    def with_share(self, row: Measurement) -> Measurement:
        """The row with its share of the peak at the median, where there is one."""
        peak = self.peaks.get((row.runner, row.precision))
        flops = row.resources.gflop_per_clip
        if peak is None or flops is None or row.scenario == SERVER:
            return row
        reached = flops * row.batch / (row.latency.p50_ms / 1000)
        return replace(row, resources=replace(row.resources, peak_share=reached / peak.gflops))

    def found_peaks(self) -> tuple[tuple[str, Peak], ...]:
        """Every peak that was measured, with the runner whose rows are held against it."""
        return tuple((runner, peak) for (runner, _), peak in self.peaks.items() if peak)
