"""What is allocated, what is left, and closing."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from rig_bench import Bench, clips, refuses

from maskclr_edge.errors import EngineError
from maskclr_edge.runtime.trt_lane import SHAPES_KEPT


def check_steady_calls_allocate_nothing(bench: Bench) -> None:
    with bench.runner() as runner:
        shapes = [clips(2, 2, frames) for frames in (1, 24, 81, 243)]
        for _ in range(2):
            for batch in shapes:
                runner.infer(batch)
        before = bench.rig.counts()
        for _ in range(20):
            for batch in shapes:
                runner.infer(batch)
        after = bench.rig.counts()
        for key in after:
            if key not in ("graph_launches",):
                assert after[key] == before[key], f"{key}: {before[key]}, then {after[key]}"


def check_only_the_first_call_allocates(bench: Bench) -> None:
    """Buffers are taken for the largest shapes at once: later shapes, however large, take no more."""
    with bench.runner() as runner:
        runner.infer(clips(1, 1, 1))
        before = bench.rig.counts()["allocations"]
        for frames in (24, 243, 97, 3):
            for count in (1, 4):
                for _ in range(3):
                    runner.infer(clips(count, 2, frames))
        assert bench.rig.counts()["allocations"] == before


def check_leaks_over_calls_with_changing_shapes(bench: Bench) -> None:
    """Live objects stay within their bounds throughout, and nothing is left at the end."""
    with bench.runner() as runner:
        random = np.random.default_rng(0)
        for call in range(bench.calls):
            frames = int(random.integers(1, 60)) if call % 5 else 24
            runner.infer(np.ones((int(random.integers(1, 4)), 1, frames, 17, 3), np.float32))
            if call == 20:
                first = bench.rig.counts()
        last = bench.rig.counts()
        for key in ("device_memory", "pinned", "streams", "events", "graphs", "retained", "allocations"):
            assert last[key] == first[key], f"{key}: {first[key]}, then {last[key]}"
        assert last["graph_execs"] <= 2 * SHAPES_KEPT
        assert last["alive IExecutionContext"] <= 2 * SHAPES_KEPT + 4


def check_out_of_memory(bench: Bench) -> None:
    folder = bench.write("huge", memory=7 << 30)
    with (
        bench.runner(folder) as runner,
        refuses(EngineError, "no room on Stand-in GPU for lane 1", "out of memory", "--threads 1"),
    ):
        runner.infer(clips())


def check_closing(bench: Bench) -> None:
    with bench.runner() as runner:
        bench.same(runner, clips())
        runner.close()
        runner.close()
        with refuses(EngineError, "closed"):
            runner.infer(clips())
    with bench.runner(threads=2) as runner:  # closed from another thread, while calls run
        with ThreadPoolExecutor(3) as pool:
            calls = [pool.submit(runner.infer, clips(seed=seed)) for seed in range(6)]
            pool.submit(runner.close).result()
        for call in calls:
            error = call.exception()
            assert error is None or (isinstance(error, EngineError) and "closed" in str(error)), error
