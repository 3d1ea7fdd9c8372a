"""Kernels that TensorRT-RTX compiles as shapes come, and keeps between processes; TensorRT keeps nothing."""

import os
from pathlib import Path

from rig_bench import Bench, clips


def kept(folder: Path) -> list[bytes]:
    """What lies in the folder of kernels, the largest first."""
    files = (folder / "kernels").glob("*") if (folder / "kernels").is_dir() else ()
    return sorted((file.read_bytes() for file in files), key=len, reverse=True)


def check_compiled_kernels_are_kept(bench: Bench) -> None:
    folder = bench.root / "own cache"
    before = os.environ["MASKCLR_EDGE_CACHE"]
    os.environ["MASKCLR_EDGE_CACHE"] = str(folder)
    try:
        sizes = []
        for _ in range(2):
            with bench.runner() as runner:
                for frames in (24, 81):
                    bench.same(runner, clips(1, 2, frames))
            sizes.append([len(data) for data in kept(folder)])
        if bench.flavour == "tensorrt":
            assert sizes == [[], []], sizes
            return
        # one file for each engine; the second process starts from it, and adds what it compiles
        assert [len(found) for found in sizes] == [2, 2], sizes
        assert sizes[1][0] > sizes[0][0] > len(b"kernels"), sizes
        # what does not fit is left alone and replaced; a folder that cannot be written fails no call
        for file in (folder / "kernels").iterdir():
            file.write_bytes(b"another driver's")
        with bench.runner() as runner:
            bench.same(runner, clips())
        assert all(data.startswith(b"kernels") for data in kept(folder))
        os.environ["MASKCLR_EDGE_CACHE"] = str(bench.source / "manifest.json")
        with bench.runner() as runner:
            bench.same(runner, clips())
    finally:
        os.environ["MASKCLR_EDGE_CACHE"] = before


def check_a_library_without_such_a_cache(bench: Bench) -> None:
    """It gives None: nothing is kept, and nothing fails."""
    if bench.flavour == "tensorrt-rtx":
        handlers = bench.rig.fake.handlers
        whole = handlers["IRuntimeConfig.create_cache"]
        handlers["IRuntimeConfig.create_cache"] = lambda this, a, d: 0
        try:
            with bench.runner() as runner:
                bench.same(runner, clips())
        finally:
            handlers["IRuntimeConfig.create_cache"] = whole
