"""A whole bench: every asked-for runner, precision, length and person count of some models, in one run."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from maskclr_edge.bench.gauges import Gauges
from maskclr_edge.bench.measurement import SINGLE_STREAM, Measurement, join_passes
from maskclr_edge.bench.peak import Peak
from maskclr_edge.bench.scenarios import (
    LATENCY_BOUND_MS,
    measure_end_to_end,
    measure_network,
    measure_preprocessing,
)
from maskclr_edge.bench.statistics import CONFIDENCE, PERCENTILE_RULE
from maskclr_edge.bench.timing import STEADY_CALLS, STEADY_TOLERANCE, Budget, Progress
from maskclr_edge.errors import ConfigError, MaskclrEdgeError
from maskclr_edge.runtime import BUNDLED, RUNNERS, Bundle, Classifier, RunnerEntry, bundled_bundle, get_runner
from maskclr_edge.skeleton import SkeletonContract

#: lengths measured beside the contract's own, where it allows them: one, three and eight seconds at 30 fps
COMMON_FRAMES = (30, 81, 243)


#: what has to be known to hold a row against trtexec's
TRTEXEC = (
    "same percentile rule but for the median; latency is from host memory to host memory, as trtexec's "
    "without --noDataTransfers, the head and the packing of persons included; one query at a time, and "
    "no --useSpinWait"
)


@dataclass(frozen=True)
class Variant:
    """One way to run a model on this machine, or the reason why it cannot be run."""

    model: str
    runner: str
    precision: str
    reason: str | None = None


@dataclass(frozen=True)
class Plan:
    """What to measure. Empty `runners`, `precisions`, `frames` and `persons` mean all that the model has."""

    models: tuple[str, ...] = ("bundled",)
    runners: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ()
    frames: tuple[int, ...] = ()
    persons: tuple[int, ...] = ()
    batch: int | None = None
    threads: int | None = None
    budget: Budget = field(default_factory=Budget)
    end_to_end: bool = True
    passes: int = 1
    scenarios: tuple[str, ...] = (SINGLE_STREAM,)
    bound_ms: float = LATENCY_BOUND_MS
    seed: int = 0
    peak: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The settings for a result file, with the rules by which its numbers were made."""
        return {
            **asdict(self),
            "models": [label(model) for model in self.models],
            "percentile_rule": PERCENTILE_RULE,
            "interval": f"{CONFIDENCE:.0%} circular block bootstrap",
            "steady_state": f"medians of two runs of {STEADY_CALLS} calls within {STEADY_TOLERANCE:.0%}",
            "as_trtexec": TRTEXEC,
        }


@dataclass(frozen=True)
class Suite:
    """What came out: the rows, and the variants that could not be measured, with their reasons."""

    measurements: tuple[Measurement, ...]
    skipped: tuple[Variant, ...]
    peaks: tuple[tuple[str, Peak], ...] = ()
    sensors: tuple[str, ...] = ()
    no_sensors: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The results for a result file."""
        return {
            "measurements": [row.to_dict() for row in self.measurements],
            "skipped": [{**asdict(variant), "model": label(variant.model)} for variant in self.skipped],
            "peaks": [{"runner": runner, **peak.to_dict()} for runner, peak in self.peaks],
            "sensors": {"read": list(self.sensors), "absent": list(self.no_sensors)},
        }


def variants(model: str, runners: Sequence[str] = (), precisions: Sequence[str] = ()) -> list[Variant]:
    """Every runner and precision of a model (a bundle, a checkpoint or "bundled").

    With no `runners`, all known ones; with no `precisions`, all that the model has for a runner. What cannot
    run here has its reason. ConfigError for an unknown runner, BundleError for a broken bundle.
    """
    if "auto" in runners:
        raise ConfigError(
            "runner auto is the choice among runners, not one to measure; "
            f"name some of {', '.join(RUNNERS)}, or none for all"
        )
    found = []
    bundle = _bundle(model)
    for entry in [get_runner(name) for name in runners or RUNNERS]:
        has, reason = _precisions(entry, model, bundle)
        for precision in precisions or has or ("any",):
            why = reason
            if not why and precision not in has:
                why = f"the model has no {precision} for {entry.name}, only {', '.join(has)}"
            found.append(Variant(model, entry.name, precision, why))
    return found


def _bundle(model: str) -> Bundle | None:
    """The bundle that a model's name means; None for a checkpoint."""
    if model == BUNDLED and not Path(BUNDLED).exists():
        return Bundle.open(bundled_bundle(), verify=False)
    return Bundle.open(model, verify=False) if Path(model).is_dir() else None


def _precisions(entry: RunnerEntry, model: str, bundle: Bundle | None) -> tuple[tuple[str, ...], str | None]:
    """What a model has for a runner, and why it cannot run on it."""
    if reason := entry.why_not():
        return (), reason
    if bundle is None or (entry.takes == "checkpoint" and model == BUNDLED):
        return ("fp32",), None
    if entry.takes == "checkpoint":
        return (), f"a bundle holds nothing for {entry.name}; name its checkpoint as a second model"
    has = bundle.precisions(entry.name)
    return has, None if has else f"the bundle holds nothing for {entry.name}"


def label(model: str) -> str:
    """A model's name in tables and files: as given, but only the end of a path into somebody's disk."""
    path = Path(model)
    return path.name if path.is_absolute() or ".." in path.parts else path.as_posix()


def opened(
    found: Sequence[Variant], threads: int | None = None
) -> Iterator[tuple[Variant, Classifier | MaskclrEdgeError]]:
    """Each variant that can run, opened and closed again; where that fails, the error in its place."""
    for variant in found:
        if variant.reason:
            continue
        try:
            classifier = Classifier.open(
                variant.model, runner=variant.runner, precision=variant.precision, threads=threads
            )
        except MaskclrEdgeError as error:
            yield variant, error
            continue
        with classifier:
            yield variant, classifier


def run_suite(plan: Plan, progress: Progress | None = None) -> Suite:
    """Measure a plan. ConfigError when a length or number of persons is outside a model's contract.

    With several passes everything is opened and measured anew in each, every other one from the last to the
    first: what changes slowly, such as a neighbour's load, then shows as a difference between the passes of
    one row, and not as one between two models.
    """
    found = [one for model in plan.models for one in variants(model, plan.runners, plan.precisions)]
    skipped = [variant for variant in found if variant.reason]
    rows: dict[tuple[Any, ...], list[Measurement]] = {}
    gauges = Gauges.of_this_machine(plan.threads, peak=plan.peak)
    for number in range(plan.passes):

        def report(done: int, total: int, what: str, number: int = number) -> None:
            if progress:
                which = f", pass {number + 1}" if plan.passes > 1 else ""
                progress(number * total + done, total * plan.passes, what + which)

        failed: list[Variant] = []
        order = found if number % 2 == 0 else found[::-1]
        for row in _run_once(plan, order, failed, report, gauges):
            rows.setdefault(row.key, []).append(row)
        skipped += [variant for variant in failed if variant not in skipped]
    joined = tuple(gauges.with_share(join_passes(several)) for several in rows.values())
    return Suite(
        joined, tuple(skipped), gauges.found_peaks(), tuple(one.name for one in gauges.sensors),
        gauges.no_sensors,
    )  # fmt: skip


def _run_once(
    plan: Plan, found: Sequence[Variant], failed: list[Variant], report: Progress, gauges: Gauges
) -> Iterator[Measurement]:
    """One pass over all variants; what cannot be opened is added to ``failed``."""
    prepared: set[str] = set()
    runnable = sum(variant.reason is None for variant in found)
    for done, (variant, classifier) in enumerate(opened(found, plan.threads)):
        if isinstance(classifier, MaskclrEdgeError):
            failed.append(replace(variant, reason=str(classifier)))
            continue
        contract = classifier.contract
        gauges.learn(variant.runner, variant.precision)
        name = label(variant.model)
        shapes = [
            (scenario, t, m)
            for scenario in plan.scenarios
            for t in _frames(plan, contract)
            for m in _persons(plan, contract)
        ]
        for step, (scenario, frames, persons) in enumerate(shapes):
            what = f"{variant.runner} {variant.precision}, {scenario}, T={frames}, {persons} in view"
            report(done * len(shapes) + step, runnable * len(shapes), what)
            measure = partial(
                measure_network, classifier.runner, model=name, frames=frames, persons=persons,
                batch=plan.batch, threads=plan.threads, budget=plan.budget, scenario=scenario,
                bound_ms=plan.bound_ms, seed=plan.seed,
            )  # fmt: skip
            yield gauges.around(measure, classifier.runner.config)
        if not plan.end_to_end:
            continue
        for persons in _persons(plan, contract):
            if variant.model not in prepared:
                yield measure_preprocessing(
                    contract, model=name, frames=contract.frames, persons=persons, budget=plan.budget
                )
            measure = partial(
                measure_end_to_end, classifier, model=name, persons=persons, threads=plan.threads,
                budget=plan.budget,
            )  # fmt: skip
            yield gauges.around(measure, classifier.runner.config)
        prepared.add(variant.model)


def _frames(plan: Plan, contract: SkeletonContract) -> tuple[int, ...]:
    if plan.frames:
        return plan.frames
    usual = {contract.frames, *COMMON_FRAMES}
    return tuple(sorted(t for t in usual if contract.min_frames <= t <= contract.max_frames))


def _persons(plan: Plan, contract: SkeletonContract) -> tuple[int, ...]:
    return plan.persons or tuple(range(1, contract.persons + 1))
