"""The quantised graphs of one export: ranges, outliers moved, the accuracy budget, Q/DQ pairs."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from maskclr_edge.checkpoint import Checkpoint
from maskclr_edge.deploy.budget import Budgeted, harder, may_lose, within_budget
from maskclr_edge.deploy.builder import to_bytes
from maskclr_edge.deploy.calibrate import calibrate, present_persons
from maskclr_edge.deploy.float8 import quantise_float8
from maskclr_edge.deploy.graph import encoder_graph
from maskclr_edge.deploy.onnx_pair import open_network
from maskclr_edge.deploy.precision import ORT, WIDE_HEAD, Form, Precision
from maskclr_edge.deploy.quantise import quantisable, quantise, score_operands
from maskclr_edge.deploy.read_back import LEAST_SHARE, check_share, read_back
from maskclr_edge.deploy.scale_table import ScaleTable
from maskclr_edge.deploy.sensitivity import HeldOut, rank
from maskclr_edge.deploy.smooth import smoothed
from maskclr_edge.optional import available

Floats = npt.NDArray[np.float32]
Progress = Callable[[int, int, str], None]


class Quantised:
    """The quantised graphs of one export, from ranges that are found once, when the first is asked for."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        calibration: Sequence[Floats] | Floats | ScaleTable | None,
        method: str,
        skip: Sequence[str],
        smooth: float | None,
        progress: Progress | None,
    ) -> None:
        self._checkpoint, self._calibration, self._method = checkpoint, calibration, method
        self._skip, self._smooth, self._progress = list(skip), smooth, progress
        self._budget: tuple[float, tuple[Floats, npt.NDArray[np.int64]], bytes] | None = None
        self._kept: dict[str, Budgeted] = {}

    def keep_within(
        self, max_drop: float, held_out: tuple[Floats, npt.NDArray[np.int64]], head: bytes
    ) -> None:
        """From now on leave alone what may cost more than ``max_drop`` points of top-1, see ``budget``."""
        may_lose(max_drop, len(held_out[1]))  # said before anything is run
        self._budget = (max_drop, held_out, head)

    def graph(self, precision: Precision, form: Form) -> onnx.ModelProto:
        """The encoder with the Q/DQ pairs of a precision, in one of its forms."""
        reference, ranges = self._ranged
        graph = reference
        if precision.compute != "float32":
            graph = encoder_graph(self._checkpoint, flat=False, compute=precision.compute)
            ranges = _renamed(ranges, reference, graph, [*self._skip, *precision.kept])

        def quantised(skip: Sequence[str], form: Form = form) -> onnx.ModelProto:
            skip = [*self._skip, *precision.kept, *skip]
            if precision.quantised != "int8":
                return quantise_float8(graph, ranges, skip=skip)
            options: dict[str, Any] = {"activation": form.activation, "weight_bits": form.weight_bits}
            if form.scores and wide_heads(self._checkpoint):
                return quantise(*self._apart, skip=skip, scores=True, **options)
            return quantise(graph, ranges, skip=skip, **options)

        if precision.name in self._kept:  # the forms of a precision leave the same layers alone
            return quantised(self._kept[precision.name].skip)
        if self._budget is None:
            return quantised(())
        chosen = self._choose(*self._budget, precision, graph, reference, quantised)
        self._kept[precision.name] = chosen
        return quantised(chosen.skip)

    def _choose(
        self,
        max_drop: float,
        held_out: tuple[Floats, npt.NDArray[np.int64]],
        head: bytes,
        precision: Precision,
        graph: onnx.ModelProto,
        reference: onnx.ModelProto,
        quantised: Callable[..., onnx.ModelProto],
    ) -> Budgeted:
        """What the budget leaves in floating point, measured on one runner of every form."""
        contract = self._checkpoint.contract
        found = read_back(quantised(()), frames=contract.frames)
        check_share(precision, found)
        data = HeldOut(
            harder(held_out[0], contract.absent),
            held_out[1],
            precision=precision,
            encoder=to_bytes(reference),
            head=head,
            progress=self._progress,
        )

        def run(form: Form, skip: Sequence[str]) -> Floats:
            runner = form.runners[0]
            network = open_network(precision, to_bytes(quantised(skip, form)), runner=runner)
            return data.run(network, f"held-out clips, {runner}, {len(skip)} groups kept")

        runs, unmeasured = {}, {}
        for form in precision.forms:
            runner = form.runners[0]
            if runner == ORT or available(runner):
                runs[runner] = partial(run, form)
            else:
                unmeasured[runner] = f"{runner} is not installed"
        skip = [*self._skip, *precision.kept]
        ranked = partial(rank, graph, quantised, data, precision, skip=skip, progress=self._progress)
        return within_budget(
            runs,
            data,
            ranked,
            max_drop,
            room=1 - LEAST_SHARE / found["gemm_flops"][precision.quantised],
            unmeasured=unmeasured,
        )

    def facts(self, clips: Mapping[str, Any] | None) -> dict[str, Any]:
        """What the manifest says about calibration."""
        facts: dict[str, Any] = {"method": self._method, "skipped": list(self._skip)}
        if self._smooth is not None:
            facts["smooth"] = self._smooth
        if isinstance(self._calibration, ScaleTable):
            facts["table_sha256"] = self._calibration.sha256()
        # a table has the names themselves; their hash is enough here
        if self._kept:
            facts["budget"] = {name: kept.to_dict() for name, kept in self._kept.items()}
        return facts | {"clips": {key: value for key, value in (clips or {}).items() if key != "names"}}

    @cached_property
    def _ranged(self) -> tuple[onnx.ModelProto, Mapping[str, tuple[float, float]]]:
        graph = encoder_graph(self._checkpoint, flat=False)
        tensors = quantised_tensors(self._checkpoint, graph, self._skip)
        calibration = self._calibration
        if isinstance(calibration, ScaleTable):
            return graph, calibration.choose(tensors)
        clips = [calibration] if isinstance(calibration, np.ndarray) else list(calibration or ())
        persons = present_persons(clips, self._checkpoint.contract.absent)
        if self._smooth is not None:
            self._checkpoint = smoothed(self._checkpoint, graph, persons, self._smooth, self._progress)
            graph = encoder_graph(self._checkpoint, flat=False)
        found = calibrate(graph, persons, tensors, method=self._method, progress=self._progress)
        return graph, found

    @cached_property
    def _apart(self) -> tuple[onnx.ModelProto, Mapping[str, tuple[float, float]]]:
        """The encoder with query, key and value apart, and its ranges: those that were found, renamed."""
        reference, ranges = self._ranged
        graph = encoder_graph(self._checkpoint, flat=False, apart=True)
        known, renamed = score_operands(reference, self._skip), dict(ranges)
        for path, operands in score_operands(graph, self._skip).items():
            renamed |= {own: ranges[same] for own, same in zip(operands, known[path], strict=True)}
        return graph, renamed


def wide_heads(checkpoint: Checkpoint) -> bool:
    """Whether a form that asks for attention's scores in INT8 gets them."""
    return checkpoint.config.head_dim >= WIDE_HEAD


def quantised_tensors(checkpoint: Checkpoint, graph: onnx.ModelProto, skip: Sequence[str] = ()) -> list[str]:
    """The tensors of a checkpoint's encoder, in float32 with ``flat=False``, whose ranges INT8 needs."""
    tensors = list(quantisable(graph, skip).values())
    if wide_heads(checkpoint):
        tensors += [name for pair in score_operands(graph, skip).values() for name in pair]
    return list(dict.fromkeys(tensors))


def _renamed(
    ranges: Mapping[str, tuple[float, float]],
    of: onnx.ModelProto,
    to: onnx.ModelProto,
    skip: Sequence[str],
) -> dict[str, tuple[float, float]]:
    """Ranges of one encoder's tensors for another's: what goes into the same layers."""
    ours, theirs = quantisable(of, skip), quantisable(to, skip)
    return {theirs[layer]: ranges[tensor] for layer, tensor in ours.items()}
