"""Outliers moved into weights: the same network, and a better INT8 where channels differ."""

from collections.abc import Callable

import numpy as np
import pytest

from maskclr_edge.checkpoint import Checkpoint
from maskclr_edge.deploy import encoder_graph, head_graph
from maskclr_edge.deploy.builder import to_bytes
from maskclr_edge.deploy.calibrate import calibrate, present_persons
from maskclr_edge.deploy.onnx_pair import open_pair
from maskclr_edge.deploy.parity import compare, make_probes, probe_clips
from maskclr_edge.deploy.precision import get_precision
from maskclr_edge.deploy.quantise import quantisable, quantise
from maskclr_edge.deploy.smooth import followers, smoothed
from maskclr_edge.errors import ConfigError

Maker = Callable[..., Checkpoint]
SHAPES = [(2, 2, 17), (1, 1, 40), (1, 2, 1)]
PERSONS = present_persons([probe_clips(6, 2, 20, seed=8)], "zeros")


def with_outliers(checkpoint: Checkpoint) -> Checkpoint:
    """The same network whose normalised tokens have one channel a hundred times as large as the others."""
    weights = dict(checkpoint.weights)
    for norm, layer in followers(checkpoint.config).items():
        factor = np.ones(checkpoint.config.dim_feat, np.float32)
        factor[3] = 100
        for part in ("weight", "bias"):
            weights[f"{norm}.{part}"] = weights[f"{norm}.{part}"] * factor
        weights[f"{layer}.weight"] = weights[f"{layer}.weight"] / factor
    return Checkpoint(checkpoint.config, checkpoint.contract, weights)


def int8_error(checkpoint: Checkpoint, original: Checkpoint) -> float:
    model = encoder_graph(checkpoint, flat=False)
    ranges = calibrate(model, PERSONS, list(quantisable(model).values()), method="minmax")
    probes, reference = make_probes(original, SHAPES)
    head = to_bytes(head_graph(original))
    pair = open_pair(get_precision("int8"), to_bytes(quantise(model, ranges, weight_bits=7)), head)
    return float(compare(pair.infer, probes, exact=False, reference=reference).relative_error)


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_the_network_stays_the_same(random_checkpoint: Maker, strength: float) -> None:
    checkpoint = random_checkpoint()
    moved = smoothed(checkpoint, encoder_graph(checkpoint, flat=False), PERSONS, strength)
    moved.check()
    assert not np.array_equal(
        moved.weights["backbone.norm.weight"], checkpoint.weights["backbone.norm.weight"]
    )
    probes, reference = make_probes(checkpoint, SHAPES)
    pair = open_pair(get_precision("fp32"), to_bytes(encoder_graph(moved)), to_bytes(head_graph(moved)))
    assert compare(pair.infer, probes, exact=True, reference=reference).passed


def test_int8_survives_channels_of_different_size(random_checkpoint: Maker) -> None:
    checkpoint = random_checkpoint(dim_feat=32, dim_rep=32)
    spiky = with_outliers(checkpoint)
    plain = int8_error(spiky, spiky)
    moved = smoothed(spiky, encoder_graph(spiky, flat=False), PERSONS, 0.5)
    assert int8_error(moved, spiky) < plain / 4


def test_every_norm_of_the_graph_is_followed_by_its_layer(random_checkpoint: Maker) -> None:
    checkpoint = random_checkpoint()
    graph = encoder_graph(checkpoint, flat=False).graph
    takes = {node.input[0]: node.name for node in graph.node if node.op_type == "MatMul"}
    expected = {
        f"{norm}/LayerNormalization": f"{layer}/MatMul"
        for norm, layer in followers(checkpoint.config).items()
    }
    norms = [node.output[0] for node in graph.node if node.op_type == "LayerNormalization"]
    assert {norm: takes[norm] for norm in norms} == expected


def test_a_strength_beyond_its_range_is_refused(random_checkpoint: Maker) -> None:
    checkpoint = random_checkpoint()
    with pytest.raises(ConfigError, match="smooth is 2; expected a strength from 0 to 1"):
        smoothed(checkpoint, encoder_graph(checkpoint), PERSONS, 2)
