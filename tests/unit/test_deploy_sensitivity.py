"""Sensitivity and the accuracy budget: the layer that was made fragile is found, and only it is spared."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import pytest

from maskclr_edge.checkpoint import Checkpoint
from maskclr_edge.deploy import encoder_graph, head_graph
from maskclr_edge.deploy.budget import clips_needed, harder, loss_bound, may_lose, within_budget
from maskclr_edge.deploy.builder import to_bytes
from maskclr_edge.deploy.calibrate import calibrate, present_persons
from maskclr_edge.deploy.onnx_pair import open_network, open_pair
from maskclr_edge.deploy.parity import probe_clips
from maskclr_edge.deploy.precision import get_precision
from maskclr_edge.deploy.quantise import quantisable, quantise
from maskclr_edge.deploy.read_back import check_share, read_back
from maskclr_edge.deploy.sensitivity import Floats, HeldOut, Progress, Sensitivity, groups, rank
from maskclr_edge.errors import ConfigError, ExportError
from maskclr_edge.skeleton.corruption import CORRUPTIONS, Cell, corrupt_clips

Maker = Callable[..., Checkpoint]
FRAGILE = "backbone.blocks_ts.0.mlp_t"
INT8 = get_precision("int8")


class Case:
    """A network with ranges that spoil one group, and clips labelled with the float network's own answers."""

    def __init__(self, checkpoint: Checkpoint, spoil: Sequence[str]) -> None:
        self.model = encoder_graph(checkpoint, flat=False)
        nodes = quantisable(self.model)
        persons = present_persons([probe_clips(8, 2, 20, seed=1)], "zeros")
        ranges = calibrate(self.model, persons, list(dict.fromkeys(nodes.values())), method="minmax")
        for node, tensor in nodes.items():
            if node.startswith(tuple(spoil)):
                ranges[tensor] = (-1e-3, 1e-3)  # nearly every value is cut off
        self.ranges = ranges
        head = to_bytes(head_graph(checkpoint))
        options: dict[str, Any] = {"precision": INT8, "encoder": to_bytes(self.model), "head": head}
        clips = probe_clips(40, 1, 20, seed=2)
        labels = HeldOut(clips, np.zeros(40, np.int64), **options).logits.argmax(axis=1)
        self.held_out = HeldOut(clips, labels, **options)

    def ranking(self, progress: Progress | None = None) -> list[Sensitivity]:
        return rank(self.model, self.quantised, self.held_out, INT8, progress=progress)

    def runs(self) -> dict[str, Callable[[Sequence[str]], Floats]]:
        def run(skip: Sequence[str]) -> Floats:
            return self.held_out.run(open_network(INT8, to_bytes(self.quantised(skip))))

        return {"onnxruntime": run}

    def quantised(self, skip: Sequence[str]) -> onnx.ModelProto:
        return quantise(self.model, self.ranges, skip=skip, weight_bits=7)


def test_groups_are_attentions_mlps_and_the_last_layer(random_checkpoint: Maker) -> None:
    model = encoder_graph(random_checkpoint(depth=1), flat=False)
    found = groups(model)
    assert FRAGILE in found and "backbone.pre_logits.fc" in found
    assert len(found) == 2 * 2 * 2 + 1
    sizes = {tensor.name: int(np.prod(tensor.dims)) for tensor in model.graph.initializer}
    layers = [f"{FRAGILE}.{name}.weight" for name in ("fc1", "fc2")]
    assert found[FRAGILE] == sum(sizes[name] for name in layers)
    assert FRAGILE not in groups(model, skip=[FRAGILE])


def test_the_fragile_group_is_found(random_checkpoint: Maker) -> None:
    case = Case(random_checkpoint(depth=1, dim_feat=32, dim_rep=32), [FRAGILE])
    seen: list[tuple[int, int]] = []
    ranking = case.ranking(progress=lambda done, total, what: seen.append((done, total)))
    assert seen == [(index + 1, len(ranking)) for index in range(len(ranking))]
    assert ranking[0].module == FRAGILE and ranking[0].kl > 10 * ranking[1].kl
    assert ranking[0].cosine < ranking[1].cosine
    assert sum(one.weights for one in ranking) == pytest.approx(1)


def test_it_alone_is_spared(random_checkpoint: Maker) -> None:
    case = Case(random_checkpoint(depth=1, dim_feat=32, dim_rep=32), [FRAGILE])
    options: dict[str, Any] = {"room": 0.5, "unmeasured": {"openvino": "why"}}
    chosen = within_budget(case.runs(), case.held_out, case.ranking, 15, **options)
    assert chosen.skip == (FRAGILE,) and chosen.float_top1 == 100
    assert chosen.tried[0] > chosen.tried[1] == chosen.measured["onnxruntime"].lost
    measured = chosen.measured["onnxruntime"]
    assert measured.drop_at_most <= 15
    assert measured.agreement == measured.top1 == 100 - 2.5 * measured.lost  # labels are float's answers
    stored = chosen.to_dict()
    assert stored["unmeasured"] == {"openvino": "why"} and stored["tried"][0]["kept"] == 0
    loose = within_budget(case.runs(), case.held_out, lambda: pytest.fail("in vain"), 100, **options)
    assert loose.skip == () and len(loose.tried) == 1  # nothing is spared that need not be


def test_every_runner_must_keep_the_budget(random_checkpoint: Maker) -> None:
    """The second runner's file is fine only with the fragile group in floating point; the first always is."""
    case = Case(random_checkpoint(depth=1, dim_feat=32, dim_rep=32), [FRAGILE])
    runs = {"one": lambda skip: case.held_out.logits, "two": case.runs()["onnxruntime"]}
    chosen = within_budget(runs, case.held_out, case.ranking, 15, room=0.5)
    assert chosen.skip == (FRAGILE,) and set(chosen.measured) == {"one", "two"}


def test_a_budget_that_cannot_be_met_is_an_error(random_checkpoint: Maker) -> None:
    case = Case(random_checkpoint(depth=1, dim_feat=32, dim_rep=32), ["backbone"])
    with pytest.raises(
        ExportError,
        match=r"a drop of 10 points cannot be kept: with \d of 9 .*0 may be; allow \d.*fp16",
    ):
        within_budget(case.runs(), case.held_out, case.ranking, 10, room=0.5)
    with pytest.raises(ConfigError, match=r"cannot be shown on 40 .* allow 7.3, or give a split with 598"):
        within_budget(case.runs(), case.held_out, case.ranking, 0.5, room=0.5)


def test_what_so_many_clips_can_show() -> None:
    assert loss_bound(0, 598) == pytest.approx(100 * (1 - 0.05 ** (1 / 598)))  # nothing lost: by hand
    assert loss_bound(1, 10) == pytest.approx(39.416, abs=1e-3)  # Clopper and Pearson's tables
    assert loss_bound(10, 10) == 100
    assert clips_needed(0.5, 0) == 598
    assert loss_bound(2, clips_needed(0.5)) <= 0.5 < loss_bound(2, clips_needed(0.5) - 1)
    assert may_lose(0.5, 947) == 1 and may_lose(0.5, 946) == 0 and may_lose(100, 4) == 4
    for points in (-1.0, 101.0):
        with pytest.raises(ConfigError, match="from 0 to 100"):
            clips_needed(points)
    with pytest.raises(ConfigError, match="a drop of 0 points cannot be shown"):
        clips_needed(0)


def test_harder_clips_are_the_suites_and_every_kind_is_among_them() -> None:
    kinds = [kind for kind in CORRUPTIONS.values() if kind.needs is None]
    clips = probe_clips(2 * len(kinds), 1, 20, seed=2)
    changed = harder(clips)
    for kind in kinds:
        cell = Cell(kind.name, kind.severities[len(kind.severities) // 2])
        alike = (corrupt_clips(clips, cell) == changed).all(axis=(1, 2, 3, 4))
        assert alike.sum() == 2, kind.name
    np.testing.assert_array_equal(harder(clips), changed)


def test_a_precision_in_name_only_is_an_error(random_checkpoint: Maker) -> None:
    case = Case(random_checkpoint(depth=1, dim_feat=64), [])
    check_share(INT8, read_back(case.quantised([])))
    # five of eight groups are over 60 % of the weights, and with attention's products less of the operations
    kept = ["backbone.blocks_st.0.mlp_s", "backbone.blocks_st.0.mlp_t", "backbone.blocks_ts.0.mlp_s"]
    part = read_back(case.quantised(kept), frames=30)
    with pytest.raises(ExportError, match=r"at 30 frames.*runs 42 % float32.*int8 means over 60 %"):
        check_share(INT8, part)
    with pytest.raises(ExportError, match="100 % float32"):
        check_share(get_precision("fp16"), read_back(case.model, frames=30))


def test_absent_persons_are_run_once_and_change_nothing(random_checkpoint: Maker) -> None:
    checkpoint = random_checkpoint(depth=1)
    clips = probe_clips(5, 2, 20, seed=3)
    clips[1, 1] = 0  # one person
    clips[3] = 0  # nobody
    encoder, head = to_bytes(encoder_graph(checkpoint, flat=False)), to_bytes(head_graph(checkpoint))
    held = HeldOut(clips, np.zeros(5, np.int64), precision=INT8, encoder=encoder, head=head)
    np.testing.assert_allclose(held.logits, open_pair(INT8, encoder, head).infer(clips), atol=1e-5)
    run = open_network(INT8, encoder)
    np.testing.assert_allclose(held.first(4).run(run), held.logits[:4], atol=1e-5)
