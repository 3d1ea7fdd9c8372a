"""How much faster than what users would run instead: every peer in turns with our Classifier.

    python benchmarks/peers.py --data penn_action_coco17.pkl --keep FOLDER --prepare    # beside other work
    python benchmarks/peers.py --data penn_action_coco17.pkl --keep FOLDER              # on a quiet machine

One person in view, real clips; peers run with the padded second person, as upstream does, and with one person
alone. Each row is one peer and ours, call by call in turns with a rest between, because threads of PyTorch
and ONNX Runtime go on spinning after a call and would slow down whoever comes next. A row is written to
--keep when it is done: after Ctrl-C the result names what is missing, and the same command goes on with it.
--prepare does what needs no quiet machine: it exports, compiles, and counts how often the precisions agree.

The network is a trained checkpoint (--model), or the published size with random weights, which no clip can
tell anything about accuracy: agreement with fp32 is then that of the bundled model, and the result says so.
Needs torch, onnx and openvino; some fifteen minutes once it is prepared. Writes
benchmarks/results/YYYY-MM-DD_peers.json.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_script import run_script, script_parser
from peer_model import RANDOM, agreement, prepared, real_clips, trained_how, weights_of
from peer_nets import Call, Peer, Setting, absent, peers

from maskclr_edge.bench.flops import network_flops
from maskclr_edge.bench.machine import describe_machine
from maskclr_edge.bench.peak import measure_peak
from maskclr_edge.bench.results import read_result, result_document, write_dated, write_result
from maskclr_edge.bench.statistics import paired_ratio, summarize
from maskclr_edge.bench.timing import Budget, time_in_turns
from maskclr_edge.checkpoint import Checkpoint
from maskclr_edge.errors import ConfigError
from maskclr_edge.runtime import Bundle, Classifier, bundled_bundle, get_runner
from maskclr_edge.runtime.io_check import first_line

#: spinning threads of ONNX Runtime were seen to last 40 ms after a call, those of PyTorch 10 ms
REST_S = 0.1


def main() -> int:
    """Measure and write, and give the exit code."""
    parser = script_parser(__doc__)
    parser.add_argument("--data", required=True, help="annotation file, a pyskl pickle")
    parser.add_argument("--split", default="val")
    parser.add_argument("--calibration-split", default="train")
    parser.add_argument(
        "--keep", type=Path, required=True, help="folder for checkpoint, bundle, exports and rows done"
    )
    parser.add_argument("--model", type=Path, help="a trained checkpoint; random weights without one")
    parser.add_argument("--frames", default="30,81,243")
    parser.add_argument("--ours", default="openvino:int8", help="RUNNER:PRECISION to hold the peers to")
    parser.add_argument("--precision", default="fp32,bf16,int8", help="of the bundle that is made for ours")
    parser.add_argument("--peer", default="", help="only peers whose name has this text")
    parser.add_argument("--seconds", type=float, default=4.0, help="for each row, in turns")
    parser.add_argument("--min-samples", type=int, default=5, help="of each row, however slow the peer is")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--prepare", action="store_true", help="all that needs no quiet machine, and stop")
    parser.add_argument("--small", action="store_true", help="a tiny network: only to try this program")
    return run_script(parser, measure)


@dataclass(frozen=True)
class Row:
    """One row to measure."""

    frames: int
    peer: Peer
    slots: int

    def __str__(self) -> str:
        return f"T={self.frames}, {self.slots} person slots, {self.peer.name}"


def measure(arguments: argparse.Namespace) -> Path:
    """Make what is missing in --keep, measure the rows that are not there yet, and write the result."""
    machine = describe_machine()
    checkpoint = prepared(
        arguments.keep, model=arguments.model, small=arguments.small, precisions=arguments.precision,
        data=arguments.data, split=arguments.calibration_split,
    )  # fmt: skip
    bundle = arguments.keep / "bundle"
    device = "cuda" if get_runner(arguments.ours.partition(":")[0]).gpu else "cpu"
    settings = asked(arguments, checkpoint)
    store = arguments.keep / "rows.json"
    kept = kept_results(store, settings, machine)
    rows: list[dict[str, Any]] = kept["rows"]
    planned = [
        Row(frames, peer, slots)
        for frames in lengths(arguments)  # the shortest first: a run that is ended has whole columns
        for peer in [*peers(device), *own_variants(arguments, bundle)]
        for slots in peer.slots
        if arguments.peer in peer.name
    ]
    todo = [row for row in planned if not is_done(row, rows)]

    def keep() -> None:
        write_result(store, result_document("peers", kept, settings=settings, machine=machine))

    if kept["agreement"] is None:
        kept["agreement"] = agreeing(arguments, checkpoint)
        keep()
    if arguments.prepare:
        return prepare(arguments, checkpoint, todo)
    failed: dict[str, str] = {}
    try:
        for row, result in measured(arguments, checkpoint, todo, failed):
            rows.append(result)
            keep()
            ratio, ours = result["ratio"], result["ours"]
            print(f"{row}: {ratio['value']:.2f}x ours ({ours['p50_ms']:.1f} ms)", flush=True)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on with what is missing", file=sys.stderr)
    missing = [str(row) for row in planned if not is_done(row, rows) and str(row) not in failed]
    results = {
        **kept, "trained": trained_how(checkpoint), "absent": absent(device),
        "failed": failed, "missing": missing,
        "peak": peak_share(arguments, checkpoint, rows), "growth": growth(arguments, checkpoint, rows),
    }  # fmt: skip
    return write_dated(arguments.out, result_document("peers", results, settings=settings, machine=machine))


def prepare(arguments: argparse.Namespace, checkpoint: Checkpoint, todo: list[Row]) -> Path:
    """Export and compile what the rows to do need."""
    for row in todo:
        if row.peer.name.startswith("ours"):
            continue
        print(f"preparing {row}", flush=True)
        with row.peer.open(Setting(checkpoint, row.frames, row.slots, arguments.threads, arguments.keep)):
            pass
    keep: Path = arguments.keep
    return keep


def measured(
    arguments: argparse.Namespace, checkpoint: Checkpoint, todo: list[Row], failed: dict[str, str]
) -> Iterator[tuple[Row, dict[str, Any]]]:
    """The rows one by one, ours opened once for each length; a peer that fails is told in ``failed``."""
    budget = Budget(seconds=arguments.seconds, min_samples=arguments.min_samples, patience=100)
    for frames in dict.fromkeys(row.frames for row in todo):
        clips = real_clips(arguments.data, arguments.split, checkpoint.contract, frames)
        with own(arguments.keep / "bundle", arguments.ours, [frames], arguments.threads) as ours:
            for row in (one for one in todo if one.frames == frames):
                setting = Setting(checkpoint, frames, row.slots, arguments.threads, arguments.keep)
                cut = [np.ascontiguousarray(clip[:, : row.slots]) for clip in clips]
                try:
                    with row.peer.open(setting) as theirs:
                        calls = {"theirs": rotating(theirs, cut), "ours": rotating(ours, clips)}
                        timings = time_in_turns(calls, budget, rest_s=REST_S)
                except Exception as error:  # another's library, whatever it raises: the other rows go on
                    failed[str(row)] = f"{type(error).__name__}: {first_line(error)}"
                    print(f"{row}: failed, {failed[str(row)]}", file=sys.stderr, flush=True)
                    continue
                above, below = timings["theirs"].samples_ms, timings["ours"].samples_ms
                yield row, {
                    "peer": row.peer.name, "slots": row.slots, "frames": frames,
                    "ratio": asdict(paired_ratio(above, below)),
                    "latency": summarize(above).to_dict(), "ours": summarize(below).to_dict(),
                }  # fmt: skip


@contextmanager
def own(bundle: Path, which: str, lengths: Sequence[int], threads: int | None) -> Iterator[Call]:
    """Our Classifier: it is given the padded clip, and skips the absent person itself."""
    runner, _, precision = which.partition(":")
    with Classifier.open(bundle, runner=runner, precision=precision, threads=threads) as one:
        for frames in lengths:
            one.runner.prepare(1, frames)
        yield one.classify_clips


def own_variants(arguments: argparse.Namespace, bundle: Path) -> list[Peer]:
    """Our other runners and precisions, as rows of their own."""

    def opening(which: str) -> Any:
        return lambda setting: own(bundle, which, [setting.frames], setting.threads)

    opened = Bundle.open(bundle, verify=False)
    return [
        Peer(f"ours, {runner} {precision}", opening(f"{runner}:{precision}"), (2,))
        for runner in ("openvino", "onnxruntime")
        for precision in opened.precisions(runner)
        if f"{runner}:{precision}" != arguments.ours
    ]


def rotating(call: Call, clips: list[np.ndarray]) -> Any:
    """A call that takes the next clip each time."""
    following = cycle(clips)
    return lambda: call(next(following))


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
        "min_samples": arguments.min_samples, "rest_s": REST_S, "data": Path(arguments.data).name,
        "split": arguments.split, "weights": weights_of(checkpoint), "model": asdict(checkpoint.config),
    }  # fmt: skip


def kept_results(store: Path, settings: dict[str, Any], machine: dict[str, Any]) -> dict[str, Any]:
    """Rows and agreement of an ended run with the same settings on the same processor."""
    if not store.exists():
        return {"rows": [], "agreement": None}
    document = read_result(store)
    if document["settings"] != settings or document["machine"]["cpu"] != machine["cpu"]:
        raise ConfigError(
            f"{store} is of other settings or another machine; remove it, or name another --keep"
        )
    return dict(document["results"])


def is_done(row: Row, rows: list[dict[str, Any]]) -> bool:
    """Whether a row is among those measured."""
    return any((row.peer.name, row.slots, row.frames) == (r["peer"], r["slots"], r["frames"]) for r in rows)


def ours_ms(rows: list[dict[str, Any]]) -> dict[int, float]:
    """By clip length, the median of what ours took in all rows."""
    frames = sorted({row["frames"] for row in rows})
    return {
        t: float(np.median([row["ours"]["p50_ms"] for row in rows if row["frames"] == t])) for t in frames
    }


def growth(
    arguments: argparse.Namespace, checkpoint: Checkpoint, rows: list[dict[str, Any]]
) -> dict[str, Any]:
    """From the shortest to the longest length: how many times the operations, and how many times the time.

    Ours is measured in turns, for the machine is faster in some minutes than in others; each peer's is the
    ratio of two rows.
    """
    lengths = sorted({row["frames"] for row in rows})
    if len(lengths) < 2:
        return {}
    short, long = lengths[0], lengths[-1]
    flops = network_flops(checkpoint.config, frames=long) / network_flops(checkpoint.config, frames=short)
    with own(arguments.keep / "bundle", arguments.ours, (short, long), arguments.threads) as ours:
        calls = {
            name: rotating(ours, real_clips(arguments.data, arguments.split, checkpoint.contract, frames))
            for name, frames in (("short", short), ("long", long))
        }
        budget = Budget(seconds=5 * arguments.seconds, min_samples=arguments.min_samples, patience=100)
        timings = time_in_turns(calls, budget, rest_s=REST_S)
    took = {(row["peer"], row["slots"], row["frames"]): row["latency"]["p50_ms"] for row in rows}
    theirs = [
        {"peer": peer, "slots": slots, "latency": took[peer, slots, long] / ms}
        for (peer, slots, frames), ms in took.items()
        if frames == short and (peer, slots, long) in took
    ]
    ratio = paired_ratio(timings["long"].samples_ms, timings["short"].samples_ms)
    return {"frames": [short, long], "flops": flops, "latency": asdict(ratio), "peers": theirs}


def peak_share(
    arguments: argparse.Namespace, checkpoint: Checkpoint, rows: list[dict[str, Any]]
) -> dict[str, Any]:
    """The fastest matrix product of the library in three tries, and ours' share of it at each length."""
    runner, _, precision = arguments.ours.partition(":")
    tries = [measure_peak(runner, precision, arguments.threads) for _ in range(3)]
    peak = max((one for one in tries if one), key=lambda one: one.gflops, default=None)
    if peak is None:
        return {}
    flops = {t: network_flops(checkpoint.config, frames=t) / 1e9 for t in ours_ms(rows)}
    shares = {str(t): flops[t] / (ms / 1000) / peak.gflops for t, ms in ours_ms(rows).items()}
    return peak.to_dict() | {"share": shares}


def agreeing(arguments: argparse.Namespace, checkpoint: Checkpoint) -> dict[str, Any]:
    """How often int8 and bf16 answer as fp32 does: of the network measured, or else of the bundled model."""
    if weights_of(checkpoint) == RANDOM:
        model, of = "bundled", "bundled"
    else:
        model, of = arguments.keep / "bundle", "measured"
    opened = Bundle.open(bundled_bundle() if of == "bundled" else model, verify=False)
    runners = {
        runner: [name for name in opened.precisions(runner) if name in ("bf16", "int8")]
        for runner in ("openvino", "onnxruntime")
    }
    return {"of": of, "rows": agreement(model, runners, arguments.data, arguments.split, arguments.threads)}


if __name__ == "__main__":
    sys.exit(main())
