"""What it answers: logits, profiles, threads."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from rig_bench import BUCKETS, Bench, clips

from maskclr_edge.runtime import bundled_bundle, open_runner


def check_logits_are_those_of_onnx_runtime(bench: Bench) -> None:
    """Every clip count, person count and length, each three times: first call, capture, graph."""
    with bench.runner() as runner:
        for frames in (1, 2, 24, 32, 33, 81, 96, 97, 243):
            for count, persons in ((1, 1), (1, 2), (3, 2), (5, 2)):
                for seed in range(3):
                    bench.same(runner, clips(count, persons, frames, seed))


def check_true_logits_of_the_bundled_model(bench: Bench) -> None:
    folder = bench.write("bundled", source=bundled_bundle())
    with bench.runner(folder) as runner, open_runner(folder, "onnxruntime", "fp32", threads=1) as reference:
        for frames in (24, 24, 24, 1, 40, 243):
            bench.same(runner, clips(1, 2, frames), reference)


def check_without_graphs(bench: Bench) -> None:
    with bench.runner(graphs=False) as runner:
        for frames in (1, 24, 33, 243, 24, 24):
            bench.same(runner, clips(2, 2, frames))
        assert runner.details["cuda_graphs"] is False
        assert bench.rig.counts()["graph_execs"] == 0


def check_the_profile_is_chosen_by_length(bench: Bench) -> None:
    with bench.runner(graphs=False) as runner:
        for frames, profile in ((1, 0), (32, 0), (33, 1), (96, 1), (97, 2), (243, 2), (5, 0)):
            bench.rig.profiles_used.clear()
            runner.infer(np.ones((1, 2, frames, 17, 3), np.float32))
            assert bench.rig.profiles_used == [profile, 0], bench.rig.profiles_used  # encoder, head
        assert [one["frames"] for one in runner.details["profiles"]] == [list(one) for one in BUCKETS]


def check_among_profiles_the_nearest_is_chosen(bench: Bench) -> None:
    shapes = [[(1, 1, 17, 3), (p, t, 17, 3), (8, 243, 17, 3)] for p, t in ((1, 24), (8, 24), (1, 243))]
    folder = bench.write("overlapping", profiles=shapes)
    with bench.runner(folder, graphs=False) as runner:
        for count, frames, profile in ((1, 30, 0), (4, 20, 1), (1, 200, 2)):
            bench.rig.profiles_used.clear()
            runner.infer(np.ones((count, 2, frames, 17, 3), np.float32))
            assert bench.rig.profiles_used[0] == profile, bench.rig.profiles_used


def check_more_persons_than_the_engine_takes(bench: Bench) -> None:
    with bench.runner() as runner:
        batch = np.random.default_rng(0).uniform(-1, 1, (7, 2, 24, 17, 3)).astype(np.float32)
        for _ in range(3):
            bench.same(runner, batch)


def check_many_threads(bench: Bench) -> None:
    batches = [clips(1 + seed % 4, 2, (3, 24, 40, 120)[seed % 4], seed) for seed in range(60)]
    wanted = [bench.reference.infer(batch) for batch in batches]
    with bench.runner(threads=3) as runner:
        for _ in range(2):
            with ThreadPoolExecutor(8) as pool:
                for got, right in zip(pool.map(runner.infer, batches), wanted, strict=True):
                    assert np.allclose(got, right, atol=1e-4)
        assert 1 <= len(runner.graphs()) <= 3


def check_one_thread_makes_one_lane(bench: Bench) -> None:
    with bench.runner(threads=4) as runner:
        for _ in range(5):
            bench.same(runner, clips())
        assert len(runner.graphs()) == 1
        assert bench.rig.counts()["streams"] == 1


def check_results_do_not_change_under_a_later_call(bench: Bench) -> None:
    with bench.runner() as runner:
        for seed in range(3):
            first = runner.infer(clips(seed=seed))
            kept = first.copy()
            runner.infer(clips(seed=seed + 10))
            assert np.array_equal(first, kept)


def check_another_context_stays_current(bench: Bench) -> None:
    """As beside PyTorch: a context that the caller has made current is so again after every call."""
    import ctypes

    bench.rig.cuda.cuCtxPushCurrent_v2.argtypes = [ctypes.c_void_p]
    other, now = ctypes.create_string_buffer(8), ctypes.c_void_p()
    address = ctypes.addressof(other)
    bench.rig.cuda.cuCtxPushCurrent_v2(address)
    try:
        with bench.runner() as runner:
            for seed in range(3):
                bench.same(runner, clips(seed=seed))
                bench.rig.cuda.cuCtxGetCurrent(ctypes.byref(now))
                assert now.value == address
    finally:
        bench.rig.cuda.cuCtxPopCurrent_v2(None)


def check_torch_is_not_needed(bench: Bench) -> None:
    with bench.runner() as runner:
        bench.same(runner, clips())
    assert "torch" not in sys.modules
    assert "onnx" not in sys.modules


def check_two_runners_side_by_side(bench: Bench) -> None:
    with bench.runner() as first:
        for seed in range(4):
            bench.same(first, clips(seed=seed))
        with bench.runner() as second:
            for seed in range(4):
                bench.same(first, clips(seed=seed))
                bench.same(second, clips(seed=seed, frames=100))
        bench.same(first, clips(seed=9))


def check_opened_by_name(bench: Bench) -> None:
    with open_runner(bench.bundle, bench.flavour, "fp32") as runner:
        bench.same(runner, clips())
        assert runner.name == bench.flavour
        assert runner.details[bench.flavour] == bench.rig.trt.__version__
        assert (runner.details["gpu"], runner.details["sm"]) == ("Stand-in GPU", "SM87")
        assert runner.details["cuda_through"] == bench.layer
