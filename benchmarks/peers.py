"""How much faster than what users would run instead: every peer in turns with our Classifier.

    python benchmarks/peers.py --data penn_action_coco17.pkl --keep FOLDER [--frames 30,81,243]

The published size of network with random weights, one person in view, real clips; peers run with the padded
second person, as upstream does, and with one person alone. Each row is one peer and ours, call by call in
turns, and is written to --keep when it is done: a run that was ended goes on where it was. Top-1 agreement
of each precision with fp32 is that of the bundled model on the whole split. Needs torch, onnx and openvino;
about ten minutes on two quiet AMX cores. Writes benchmarks/results/YYYY-MM-DD_peers.json.
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from peer_nets import Call, Peer, Setting, absent, peers

from maskclr_edge.bench.flops import network_flops
from maskclr_edge.bench.machine import describe_machine, machine_line
from maskclr_edge.bench.peak import measure_peak
from maskclr_edge.bench.process import run_process
from maskclr_edge.bench.results import read_result, result_document, write_dated, write_result
from maskclr_edge.bench.statistics import paired_ratio, summarize
from maskclr_edge.bench.timing import Budget, time_in_turns
from maskclr_edge.checkpoint import Checkpoint, ModelConfig, read_checkpoint, write_checkpoint
from maskclr_edge.data import make_clips, read_annotations
from maskclr_edge.errors import ConfigError, MaskclrEdgeError
from maskclr_edge.evaluation import match_classes
from maskclr_edge.runtime import Bundle, Classifier
from maskclr_edge.skeleton import SkeletonContract, preprocess

RESULTS = Path(__file__).resolve().parent / "results"
CLIPS = 16


def main() -> int:
    """Measure and write, and give the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="annotation file, a pyskl pickle")
    parser.add_argument("--split", default="val")
    parser.add_argument("--calibration-split", default="train")
    parser.add_argument(
        "--keep", type=Path, required=True, help="folder for checkpoint, bundle and rows done"
    )
    parser.add_argument("--frames", default="30,81,243")
    parser.add_argument("--ours", default="openvino:int8", help="RUNNER:PRECISION to hold the peers to")
    parser.add_argument("--precision", default="fp32,bf16,int8", help="of the bundle that is made for ours")
    parser.add_argument("--peer", default="", help="only peers whose name has this text")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each row, in turns")
    parser.add_argument("--min-samples", type=int, default=7)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--small", action="store_true", help="a tiny network: only to try this program")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    try:
        print(measure(arguments))
    except MaskclrEdgeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def measure(arguments: argparse.Namespace) -> Path:
    """Make what is missing in --keep, measure the rows that are not there yet, and write the result."""
    machine = describe_machine()
    arguments.keep.mkdir(parents=True, exist_ok=True)
    checkpoint = prepared(arguments)
    bundle = arguments.keep / "bundle"
    clips = {frames: real_clips(arguments, checkpoint, frames) for frames in lengths(arguments)}
    settings = asked(arguments, checkpoint)
    store = arguments.keep / "rows.json"
    rows = kept_rows(store, settings, machine)
    done = {(row["peer"], row["slots"], row["frames"]) for row in rows}
    candidates = [*peers(), *own_variants(arguments, bundle)]
    # the shortest length first: a run that is ended has whole columns
    todo = [
        (frames, peer, slots)
        for frames in lengths(arguments)
        for peer in candidates
        if arguments.peer in peer.name
        for slots in peer.slots
        if (peer.name, slots, frames) not in done
    ]
    for number, (frames, peer, slots) in enumerate(todo):
        print(f"{number + 1}/{len(todo)} T={frames} M={slots} {peer.name}", flush=True)
        row = one_row(arguments, peer, Setting(checkpoint, frames, slots, arguments.threads), clips[frames])
        print(f"    {row['ratio']['value']:.2f}x ours ({row['ours']['p50_ms']:.1f} ms)", flush=True)
        rows.append(row)
        write_result(store, result_document("peers", {"rows": rows}, settings=settings, machine=machine))
    results = {
        "rows": rows, "absent": absent(), "machine_line": machine_line(machine),
        "peak": peak_share(arguments, checkpoint, rows), "agreement": agreement(arguments),
    }  # fmt: skip
    return write_dated(arguments.out, result_document("peers", results, settings=settings, machine=machine))


def lengths(arguments: argparse.Namespace) -> list[int]:
    """The clip lengths asked for."""
    words = arguments.frames.split(",")
    if not all(word.isascii() and word.isdigit() and 1 <= int(word) <= 243 for word in words):
        raise ConfigError(f"--frames is {arguments.frames}; expected lengths from 1 to 243, as 30,81,243")
    return sorted({int(word) for word in words})


def asked(arguments: argparse.Namespace, checkpoint: Checkpoint) -> dict[str, Any]:
    """What decides whether rows belong together."""
    return {
        "ours": arguments.ours, "threads": arguments.threads, "seconds": arguments.seconds,
        "min_samples": arguments.min_samples, "data": Path(arguments.data).name, "split": arguments.split,
        "weights": "random, seed 0", "model": asdict(checkpoint.config),
    }  # fmt: skip


def kept_rows(store: Path, settings: dict[str, Any], machine: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of an ended run with the same settings on the same processor."""
    if not store.exists():
        return []
    document = read_result(store)
    if document["settings"] != settings or document["machine"]["cpu"] != machine["cpu"]:
        raise ConfigError(
            f"{store} is of other settings or another machine; remove it, or name another --keep"
        )
    return list(document["results"]["rows"])


def prepared(arguments: argparse.Namespace) -> Checkpoint:
    """The checkpoint, and beside it the bundle as `maskclr-edge export` makes it."""
    path, bundle = arguments.keep / "checkpoint.safetensors", arguments.keep / "bundle"
    if not path.exists():
        write_checkpoint(path, random_checkpoint(small=arguments.small))
    if not bundle.exists():
        print("exporting the bundle", flush=True)
        edge = [sys.executable, "-m", "maskclr_edge", "export", str(path), "--out", str(bundle)]
        if "int8" in arguments.precision:
            edge += ["--calibration", arguments.data, "--split", arguments.calibration_split]
        run_process([*edge, "--precision", arguments.precision])
    return read_checkpoint(path)


def random_checkpoint(*, small: bool) -> Checkpoint:
    """The published size of network, or a tiny one, with the weights that training starts from."""
    import torch

    from maskclr_edge.model import ActionNet

    sizes: dict[str, Any] = {"dim_feat": 32, "dim_rep": 32, "depth": 2, "num_heads": 2, "hidden_dim": 64}
    config = ModelConfig(num_classes=15, **(sizes | {"maxlen": 24} if small else {}))
    torch.manual_seed(0)
    state = ActionNet(config).eval().state_dict()
    weights = {name: value.numpy() for name, value in state.items() if "num_batches" not in name}
    names = tuple(f"class {number}" for number in range(config.num_classes))
    contract = SkeletonContract(names, min(81, config.maxlen), max_frames=config.maxlen)
    return Checkpoint(config, contract, weights, {"weights": "random, seed 0"})


def real_clips(arguments: argparse.Namespace, checkpoint: Checkpoint, frames: int) -> list[np.ndarray]:
    """Clips (1, 2, T, 17, 3) of one person each, the second slot zeros, as the contract's preprocessing."""
    found = []
    for one in read_annotations(arguments.data).split(arguments.split):
        clip = preprocess(
            one.keypoints, checkpoint.contract, layout=one.layout, resolution_wh=one.resolution_wh,
            frames=frames,
        )  # fmt: skip
        if clip[0].any() and not clip[1].any():
            found.append(clip[None])
        if len(found) == CLIPS:
            break
    if not found:
        raise ConfigError(f"{arguments.data} has no clip of one person in split {arguments.split}")
    return found


def own_variants(arguments: argparse.Namespace, bundle: Path) -> list[Peer]:
    """Our other runners and precisions, as rows of their own."""
    opened = Bundle.open(bundle, verify=False)
    return [
        Peer(f"ours, {runner} {precision}", own(bundle, f"{runner}:{precision}"), (2,))
        for runner in ("openvino", "onnxruntime")
        for precision in opened.precisions(runner)
        if f"{runner}:{precision}" != arguments.ours
    ]


def own(bundle: Path, which: str) -> Any:
    """The Classifier as a peer: it is given the padded clip, and skips the absent person itself."""
    runner, _, precision = which.partition(":")

    @contextmanager
    def opened(setting: Setting) -> Iterator[Call]:
        with Classifier.open(bundle, runner=runner, precision=precision, threads=setting.threads) as one:
            yield one.classify_clips

    return opened


def one_row(
    arguments: argparse.Namespace, peer: Peer, setting: Setting, clips: list[np.ndarray]
) -> dict[str, Any]:
    """One peer and ours in turns, each on every clip after the other."""
    cut = [np.ascontiguousarray(clip[:, : setting.slots]) for clip in clips]
    budget = Budget(seconds=arguments.seconds, min_samples=arguments.min_samples, patience=60)
    with own(arguments.keep / "bundle", arguments.ours)(setting) as ours, peer.open(setting) as theirs:
        timings = time_in_turns({"theirs": rotating(theirs, cut), "ours": rotating(ours, clips)}, budget)
    above, below = timings["theirs"].samples_ms, timings["ours"].samples_ms
    return {
        "peer": peer.name, "slots": setting.slots, "frames": setting.frames,
        "ratio": asdict(paired_ratio(above, below)),
        "latency": summarize(above).to_dict(), "ours": summarize(below).to_dict(),
    }  # fmt: skip


def rotating(call: Call, clips: list[np.ndarray]) -> Any:
    """A call that takes the next clip each time."""
    turn = [0]

    def run() -> None:
        call(clips[turn[0] % len(clips)])
        turn[0] += 1

    return run


def peak_share(
    arguments: argparse.Namespace, checkpoint: Checkpoint, rows: list[dict[str, Any]]
) -> dict[str, Any]:
    """The library's fastest matrix product, and what share of it ours reaches at each length."""
    runner, _, precision = arguments.ours.partition(":")
    peak = measure_peak(runner, precision, arguments.threads)
    if peak is None:
        return {}
    shares = {}
    for frames in sorted({row["frames"] for row in rows}):
        p50 = np.median([row["ours"]["p50_ms"] for row in rows if row["frames"] == frames])
        gflop = network_flops(checkpoint.config, frames=frames) / 1e9
        shares[str(frames)] = float(gflop / (p50 / 1000) / peak.gflops)
    return peak.to_dict() | {"share": shares}


def agreement(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Of the bundled, trained model: how often int8 answers as fp32 does on the same runner."""
    found = []
    clips = None
    for runner in ("openvino", "onnxruntime"):
        answers: dict[str, np.ndarray] = {}
        for precision in ("fp32", "int8"):
            print(f"agreement, {runner} {precision}", flush=True)
            with Classifier.open("bundled", runner=runner, precision=precision) as one:
                if clips is None:
                    data = match_classes(read_annotations(arguments.data), one.contract.class_names)
                    clips, _ = make_clips(data.split(arguments.split), one.contract)
                answers[precision] = one.classify_clips(clips).argmax(axis=1)
        same = float(np.mean(answers["fp32"] == answers["int8"]))
        found.append({"runner": runner, "precision": "int8", "count": len(clips), "same_percent": 100 * same})
    return found


if __name__ == "__main__":
    sys.exit(main())
