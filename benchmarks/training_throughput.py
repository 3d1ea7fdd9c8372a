"""Training clips a second, ours against the upstream loop's form, taking turns in one run.

    python benchmarks/training_throughput.py --data penn_action_coco17.pkl [--config penn_action_small]

The upstream form: each clip augmented on its own in Python by one worker, both person slots run, float32.
Ours: the batch augmented at once in the training process, absent persons packed, the config's precision; as
one process with a thread a core, and as torchrun starts it with one process a core. Same network, global
batch, clip length, cores and data; cross-entropy alone in all. Writes
benchmarks/results/YYYY-MM-DD_training_throughput.json.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmark_script import run_script, script_parser
from upstream_form import UpstreamClips, UpstreamNet, upstream_training

from maskclr_edge.bench.machine import describe_machine
from maskclr_edge.bench.results import result_document, write_dated
from maskclr_edge.data import AnnotationSet, read_annotations
from maskclr_edge.errors import TrainingError
from maskclr_edge.skeleton import resample_indices
from maskclr_edge.training import Event, TrainConfig, find_config, train
from maskclr_edge.training.augment import training_batch
from maskclr_edge.training.store import ClipStore


class Enough(Exception):
    """The time for one turn is over."""


def main() -> int:
    """Measure and write, and give the exit code."""
    parser = script_parser(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="annotation file, pyskl pickle")
    parser.add_argument("--config", default="penn_action_small")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each turn")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--threads", type=int, default=None)
    return run_script(parser, measure)


def measure(arguments: argparse.Namespace) -> Path:
    """Let both take turns and write the result."""
    machine = describe_machine()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    config = replace(TrainConfig.from_yaml(find_config(arguments.config)), msk_type="none")
    data = read_annotations(arguments.data)
    store = ClipStore.from_annotations(data.split(config.train_split), config.contract(data.class_names))
    peer = upstream_steps(config, store)
    rates: dict[str, list[float]] = {"upstream_form": [], "ours": [], "ours_torchrun": []}
    for turn in range(arguments.turns):
        rates["upstream_form"].append(timed(lambda: next(peer), config.batch_size, arguments.seconds))
        rates["ours"].append(ours(config, data, arguments.seconds))
        rates["ours_torchrun"].append(ours_torchrun(config, arguments.data, torch.get_num_threads()))
        print(
            f"turn {turn + 1}: " + ", ".join(f"{name} {rate[-1]:.1f}" for name, rate in rates.items()),
            flush=True,
        )
    rng = np.random.default_rng(0)
    batches = timed(
        lambda: training_batch(store, rng.integers(len(store), size=config.batch_size), config, rng),
        config.batch_size,
        arguments.seconds / 4,
    )
    medians = {name: float(np.median(rate)) for name, rate in rates.items()}
    results = {
        "clips_per_second": rates,
        "median": medians,
        "ratio": medians["ours"] / medians["upstream_form"],
        "ratio_torchrun": medians["ours_torchrun"] / medians["upstream_form"],
        "loader_clips_per_second": batches,
        "loader_share": medians["ours"] / batches,
        "torch_threads": torch.get_num_threads(),
    }
    print(
        f"ratio {results['ratio']:.2f}, with torchrun {results['ratio_torchrun']:.2f}; "
        f"the loader takes {100 * results['loader_share']:.1f} % of the time"
    )
    settings = {"data": arguments.data.name, "config": config.to_flat(), "seconds": arguments.seconds}
    document = result_document("training_throughput", results, settings=settings, machine=machine)
    return write_dated(arguments.out, document)


def upstream_steps(config: TrainConfig, store: ClipStore) -> Any:
    """The upstream loop on the same clips, resampled once as it does."""
    motions = np.stack(
        [
            store.gather(np.array([i]), resample_indices(int(store.lengths[i]), config.clip_len)[None])[0]
            for i in range(len(store))
        ]
    )
    network = UpstreamNet(config.model, config.dropout_ratio, config.drop_path)
    clips = UpstreamClips(motions, store.labels, config.scale_range_train)
    return upstream_training(network, clips, config.batch_size, workers=1)


def ours(config: TrainConfig, data: AnnotationSet, seconds: float) -> float:
    """Clips a second of the product's own loop, from its own events, after the first steps."""
    began: list[float] = []
    steps = 0

    def watch(event: Event) -> None:
        nonlocal steps
        if event.kind != "step":
            return
        steps += 1
        if steps == 3:
            began.append(time.perf_counter())
        if began and time.perf_counter() - began[0] > seconds:
            raise Enough

    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(Enough):
        train(config, data, folder, observe=watch)
    return (steps - 3) * config.batch_size / (time.perf_counter() - began[0])


def ours_torchrun(config: TrainConfig, data: Path, processes: int) -> float:
    """Clips a second of the same loop as one process a core, from the second epoch of its own log."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder, "config.yaml")
        settings.write_text(replace(config, epochs=2, dataset=str(data.resolve())).to_yaml())
        out = Path(folder, "run")
        launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
        train_command = ["-m", "maskclr_edge", "train", str(settings), "--out", str(out)]
        threads = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [*launch, str(processes), *train_command], env=threads, capture_output=True, text=True
        )
        if done.returncode:
            raise TrainingError(f"torchrun failed: {done.stderr.strip().splitlines()[-1]}")
        epochs = [json.loads(line) for line in Path(out, "log.jsonl").read_text().splitlines()]
    return float(epochs[-1]["clips_per_second"])


def timed(step: Callable[[], object], clips: int, seconds: float) -> float:
    """Clips a second of a repeated step, the first three left out."""
    for _ in range(3):
        step()
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        step()
        done += 1
    return done * clips / (time.perf_counter() - began)


if __name__ == "__main__":
    sys.exit(main())
