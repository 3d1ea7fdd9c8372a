"""CUDA graphs: when they are recorded, how many, and what takes their place; times by events."""

import numpy as np
from rig_bench import Bench, clips, refuses

from maskclr_edge.errors import ShapeError
from maskclr_edge.runtime.trt_lane import SHAPES_KEPT


def check_graphs_take_over_on_the_second_call_of_a_shape(bench: Bench) -> None:
    with bench.runner() as runner:
        batch = np.ones((1, 2, 24, 17, 3), np.float32)
        seen = []
        for _ in range(4):
            before = bench.rig.counts()
            bench.same(runner, batch)
            after = bench.rig.counts()
            seen.append([after[key] - before[key] for key in ("graph_execs", "graph_launches", "launches")])
        # encoder and head: plain; warm-up and capture; one launch each
        assert seen == [[0, 0, 2], [2, 0, 4], [0, 2, 0], [0, 2, 0]], seen
        assert runner.graphs() == [{"encoder": 1, "head": 1}]


def check_graphs_are_bounded(bench: Bench) -> None:
    with bench.runner() as runner:
        for _ in range(2):
            for frames in range(1, SHAPES_KEPT + 9):
                for _ in range(2):
                    bench.same(runner, np.ones((1, 2, frames, 17, 3), np.float32))
        assert runner.graphs() == [{"encoder": SHAPES_KEPT, "head": 1}], runner.graphs()
        assert bench.rig.counts()["graph_execs"] == SHAPES_KEPT + 1
        # one context a graph, and those of the shapes without
        assert bench.rig.counts()["alive IExecutionContext"] <= SHAPES_KEPT + 1 + 4


def check_an_engine_that_cannot_be_captured(bench: Bench) -> None:
    folder = bench.write("uncapturable", capturable=False)
    with bench.runner(folder) as runner:
        for seed in range(4):
            bench.same(runner, clips(1, 2, 24, seed))
        assert all("not possible" in str(why) for why in runner.graphs()[0].values()), runner.graphs()
        assert "not possible" in runner.details["cuda_graphs"]


def check_prepared_shapes_have_their_graph(bench: Bench) -> None:
    with bench.runner() as runner:
        runner.prepare(2, 24)
        before = bench.rig.counts()
        bench.same(runner, np.ones((1, 2, 24, 17, 3), np.float32))
        after = bench.rig.counts()
        assert after["graph_launches"] - before["graph_launches"] == 1  # the encoder's
        assert after["allocations"] == before["allocations"]


def check_times_by_events(bench: Bench) -> None:
    with bench.runner() as runner:
        bench.same(runner, clips())
        times = runner.gpu_ms(2, 24)
        assert list(times) == ["copy_in_ms", "compute_ms", "copy_out_ms"]
        assert times["compute_ms"] > times["copy_in_ms"] >= 0
        with refuses(ShapeError, "takes"):
            runner.gpu_ms(1, 300)
        bench.same(runner, clips(seed=2))
