"""The live pipeline on footage played as a camera of 30 fps: rate, age, drops, identities, and a soak.

    python benchmarks/live.py rates FOOTAGE/exercise.avi [--seconds 60] [--people 1,3]
    python benchmarks/live.py identities FOOTAGE/exercise.avi
    python benchmarks/live.py soak FOOTAGE/exercise.avi [--minutes 30]

Writes benchmarks/results/YYYY-MM-DD_live_rates.json, ..._live_identities.json and ..._live_soak.json. The
picture is drawn, with skeletons and labels, for every frame that is shown. Identities are held against marks
that were set by eye, in benchmarks/marks/.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from maskclr_edge.bench.machine import describe_machine
from maskclr_edge.bench.results import result_document, write_dated
from maskclr_edge.errors import DataError, MaskclrEdgeError
from maskclr_edge.live.frame import Frame
from maskclr_edge.live.labeller import LiveSettings, threads_beside_pose
from maskclr_edge.live.overlay import Overlay
from maskclr_edge.live.pipeline import run
from maskclr_edge.live.pose import open_pose
from maskclr_edge.live.sources import open_source
from maskclr_edge.live.tracking import Tracker
from maskclr_edge.live.view import EndRun, Moment
from maskclr_edge.runtime import Classifier

HERE = Path(__file__).resolve().parent
CAMERA_FPS = 30.0
#: how far from a mark a person's trunk may be, in pixels of the footage
NEAR = 30.0
_TRUNK = [5, 6, 11, 12]


class Looped:
    """A video over and over as a camera of CAMERA_FPS, decoded once, for ``seconds``."""

    layout, live, total = None, False, 0

    def __init__(self, path: str, seconds: float) -> None:
        source = open_source(path)
        self.name, self.resolution_wh, self.fps = source.name, source.resolution_wh, CAMERA_FPS
        self.notes: list[str] = []
        self._images = [frame.image for frame in source.frames()]
        self._count = int(seconds * CAMERA_FPS)
        source.close()

    def frames(self) -> Iterator[Frame]:
        """Frames with the times that a camera would give them."""
        for index in range(self._count):
            yield Frame(index, index / CAMERA_FPS, image=self._images[index % len(self._images)])

    def close(self) -> None:
        """Nothing is open."""


class Drawn:
    """Draws every moment, and sums up each minute: pace, drops, age of frames, what the process holds."""

    def __init__(self, overlay: Overlay, seconds: float, *, aloud: bool) -> None:
        self.overlay, self.seconds, self.aloud = overlay, seconds, aloud
        self.minutes: list[dict[str, float]] = []
        self._ages: list[float] = []
        self._memory: list[float] = []
        self._began = self._minute_began = time.perf_counter()
        self._dropped = self._dropped_before = 0

    def show(self, moment: Moment) -> None:
        """Draw, and note."""
        self.overlay.draw(moment.image, moment.people, moment.figures)
        now = time.perf_counter()
        self._ages.append(1000 * (now - moment.taken_s))
        self._dropped = moment.figures.dropped
        if now - self._minute_began >= len(self._memory):
            self._memory.append(resident_mb())
        if now - self._minute_began >= 60:
            self.end_minute()
        if now - self._began >= self.seconds + 30:  # a source that never ends would not end us
            raise EndRun

    def end_minute(self) -> None:
        """Sum up the minute that goes on; less than half of one says too little."""
        span_s = time.perf_counter() - self._minute_began
        if span_s < 30 or not self._ages:
            return
        row = {
            "fps": len(self._ages) / span_s,
            "dropped": self._dropped - self._dropped_before,
            "age_p50_ms": float(np.median(self._ages)),
            "age_p99_ms": float(np.percentile(self._ages, 99)),
            "rss_mb": float(np.median(self._memory)),
        }
        self.minutes.append(row)
        self._ages.clear()
        self._memory.clear()
        self._minute_began, self._dropped_before = time.perf_counter(), self._dropped
        if self.aloud:
            facts = "  ".join(f"{name} {value:.1f}" for name, value in row.items())
            print(f"minute {len(self.minutes)}: {facts}", flush=True)


def main() -> int:
    """Measure and write, and give the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("rates", "identities", "soak"))
    parser.add_argument("video")
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--runner", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each of the rates")
    parser.add_argument("--people", default="1,3", help="followed at most, for the rates")
    parser.add_argument("--minutes", type=float, default=30.0, help="of the soak")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    arguments = parser.parse_args()
    machine = describe_machine()
    settings: dict[str, Any] = {"video": Path(arguments.video).name, "camera_fps": CAMERA_FPS}
    try:
        if arguments.what == "identities":
            results: dict[str, Any] = {"rows": [identities(arguments.video, step) for step in (1, 2, 3)]}
        else:
            settings |= {
                "model": arguments.model,
                "window_s": LiveSettings().window_s,
                "hz": LiveSettings().hz,
            }
            results = rates(arguments) if arguments.what == "rates" else soak(arguments)
        name = f"live_{arguments.what}"
        document = result_document(name, results, settings=settings, machine=machine)
        print(write_dated(arguments.out, document))
    except MaskclrEdgeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def rates(arguments: argparse.Namespace) -> dict[str, Any]:
    """One row for each number of people followed."""
    rows = []
    for people in map(int, arguments.people.split(",")):
        row, _ = played(arguments, people, arguments.seconds)
        rows.append(row)
        print(
            f"{people} people: {row['fps']:.1f} fps, age p99 {row['age_ms']['p99']:.0f} ms, "
            f"{row['dropped']} dropped, classification {row['classify_percent_of_pose']:.1f} % of pose",
            flush=True,
        )
    return {"rows": rows}


def soak(arguments: argparse.Namespace) -> dict[str, Any]:
    """Looped input for minutes: pace, drops, age and memory minute by minute."""
    row, minutes = played(arguments, 8, 60 * arguments.minutes, aloud=True)
    if len(minutes) < 2:
        raise DataError("a soak takes two minutes at least: the first is to warm up; ask for more --minutes")
    second, last = minutes[1], minutes[-1]
    grown = 100 * (last["rss_mb"] / second["rss_mb"] - 1)
    print(
        f"from minute 2 to {len(minutes)}: "
        f"age p50 {second['age_p50_ms']:.0f} to {last['age_p50_ms']:.0f} ms, "
        f"memory {second['rss_mb']:.0f} to {last['rss_mb']:.0f} MB ({grown:+.1f} %), "
        f"{row['fps']:.1f} fps over all, {row['dropped']} dropped of {row['frames'] + row['dropped']}",
        flush=True,
    )
    return {"run": row, "minutes": minutes, "memory_growth_percent": grown}


def played(
    arguments: argparse.Namespace, people: int, seconds: float, *, aloud: bool = False
) -> tuple[dict[str, Any], list[dict[str, float]]]:
    """The whole pipeline on looped footage; gives its figures, and those of each minute, said ``aloud``."""
    source = Looped(arguments.video, seconds)
    settings = LiveSettings(most=people)
    with (
        Classifier.open(
            arguments.model, arguments.runner, arguments.precision, threads_beside_pose()
        ) as classifier,
        open_pose("mediapipe", people) as pose,
    ):
        classifier.prepare()  # as the command does
        drawn = Drawn(Overlay(source.resolution_wh, pose.layout), seconds, aloud=aloud)
        processor = time.process_time()
        summary = run(source, classifier, pose, settings, realtime=True, views=[drawn])
        processor = time.process_time() - processor
        drawn.end_minute()
        runner = {"runner": classifier.runner.name, "precision": classifier.runner.precision}
    facts = asdict(summary)
    facts.pop("changes")
    stages = summary.stages_ms
    total = {stage: took["mean"] * took["count"] for stage, took in stages.items()}
    return facts | runner | {
        "people": people,
        "processor_ms_per_frame": 1000 * processor / max(summary.frames, 1),
        "answers_a_second": stages.get("classify", {"count": 0})["count"] / summary.work_s,
        "classify_percent_of_pose": 100 * total.get("classify", 0.0) / total["pose"],
    }, drawn.minutes  # fmt: skip


def identities(video: str, step: int) -> dict[str, Any]:
    """Every ``step``-th frame through pose and tracking, held against the marks.

    A switch: someone's number at a mark is not the one at the mark before. Missed: nobody near a mark.
    """
    marks = json.loads((HERE / "marks" / f"{Path(video).stem}_identities.json").read_text(encoding="utf-8"))
    wanted = {mark["frame"]: mark for mark in marks["marks"]}
    source, tracker = open_source(video), Tracker()
    last: dict[str, int] = {}
    switches = missed = looked = 0
    numbers: set[int] = set()
    pending: list[dict[str, Any]] = []
    with open_pose("mediapipe") as pose:
        for frame in source.frames():
            if frame.index in wanted:
                pending.append(wanted[frame.index])
            if frame.index % step:
                continue
            assert frame.image is not None
            tracks = tracker.update(pose.estimate(frame.image), frame.time_s)
            numbers |= {track.number for track in tracks}
            # a person is numbered when seen twice, and a mark is looked up at the next frame looked at
            for mark in pending if frame.index else []:
                for name in ("left", "middle", "right"):
                    near = [
                        (
                            float(np.hypot(*(track.keypoints[_TRUNK, :2].mean(axis=0) - mark[name]))),
                            track.number,
                        )
                        for track in tracks
                    ]
                    distance, number = min(near, default=(np.inf, 0))
                    looked += 1
                    missed += distance > NEAR
                    if distance <= NEAR:
                        switches += last.get(name, number) != number
                        last[name] = number
            pending = pending if not frame.index else []
    row = {"fps": source.fps / step, "marks": looked, "switches": switches, "missed": missed}
    print(row | {"numbers": len(numbers)}, flush=True)
    return row | {"numbers": len(numbers), "people": len(last)}


def resident_mb() -> float:
    """What this process holds in memory, in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6


if __name__ == "__main__":
    sys.exit(main())
