"""Recordings are whole: what stops them, what they leave behind, and a disk that fills up."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("cv2", reason="recording needs OpenCV")
from maskclr_edge.errors import ConfigError, SourceError
from maskclr_edge.live import background
from maskclr_edge.live import recorder as module
from maskclr_edge.live.background import BackgroundRecorder
from maskclr_edge.live.recorder import Recorder
from maskclr_edge.live.view import RecordSink

SIZE = (64, 48)
PICTURE = np.full((48, 64, 3), 90, np.uint8)


class Killed(BaseException):
    """As the command line makes of SIGTERM."""


def frames_in(path: Path) -> int:
    import cv2

    capture, count = cv2.VideoCapture(str(path)), 0
    while capture.read()[0]:
        count += 1
    capture.release()
    return count


def record(path: Path, pictures: int, then: BaseException | None = None) -> None:
    with Recorder(path, SIZE, 10.0) as recorder:
        for _ in range(pictures):
            recorder.write(PICTURE)
        if then:
            raise then


@pytest.mark.parametrize("ending", [".webm", ".mp4", ".avi"])
def test_a_recording_plays_and_nothing_lies_beside_it(tmp_path: Path, ending: str) -> None:
    record(tmp_path / f"a{ending}", 5)
    assert frames_in(tmp_path / f"a{ending}") == 5
    assert [file.name for file in tmp_path.iterdir()] == [f"a{ending}"]


def greys_of(path: Path) -> list[int]:
    """The grey of each picture, as it was written to the nearest ten."""
    import cv2

    capture, greys = cv2.VideoCapture(str(path)), []
    while (read := capture.read())[0]:
        greys.append(round(float(read[1].mean()) / 10) * 10)
    return greys


@pytest.mark.parametrize(
    ("times_s", "greys"),
    [
        # a camera of which two of three frames were dropped: the file's 10 fps are filled up
        ([0.0, 0.3, 0.6], [10, 10, 10, 20, 20, 20, 30]),
        # one twice as fast is thinned out, and what was left out last is what stays until the next
        ([5.0, 5.04, 5.1, 5.14, 5.3], [10, 30, 40, 50]),
        # a pause of an hour is recorded as ten seconds
        ([0.0, 3600.0, 3600.1], [10] * 100 + [20, 30]),
    ],
)
def test_a_second_of_the_recording_is_a_second_of_the_source(
    tmp_path: Path, times_s: list[float], greys: list[int]
) -> None:
    with Recorder(tmp_path / "a.avi", SIZE, 10.0) as recorder:
        sink = RecordSink(recorder)
        for index, time_s in enumerate(times_s, start=1):
            sink.take(np.full((48, 64, 3), 10 * index, np.uint8), time_s)
    assert greys_of(tmp_path / "a.avi") == greys


class Paced(Recorder):
    """An encoder that takes ``cost_s`` a picture by a clock of its own, and says when it has written one."""

    def __init__(self, path: Path, clock: list[float], cost_s: float) -> None:
        super().__init__(path, SIZE, 10.0)
        self.clock, self.cost_s, self.done = clock, cost_s, threading.Semaphore(0)

    def write(self, picture: np.ndarray) -> None:
        self.clock[0] += self.cost_s
        super().write(picture)

    def write_at(self, picture: np.ndarray, time_s: float, *, repeat: bool = True) -> None:
        super().write_at(picture, time_s, repeat=repeat)
        self.done.release()


def test_an_encoder_that_is_too_slow_leaves_time_out_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(background, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    for cost_s, frames, lost in ((0.05, 1 + 4 * 10, ""), (0.2, 1 + 10 + 1 + 10 + 1, "a.avi lacks 2 s")):
        recorder = Paced(tmp_path / "a.avi", clock, cost_s)
        with BackgroundRecorder(recorder) as sink:
            for index in range(5):
                sink.take(PICTURE, float(index))
                assert recorder.done.acquire(timeout=20)
        assert sink.lost.startswith(lost) and bool(sink.lost) == bool(lost)
        assert frames_in(tmp_path / "a.avi") == frames


def test_an_encoder_at_work_holds_up_nobody(tmp_path: Path) -> None:
    begun, going = threading.Event(), threading.Event()

    class Stuck(Recorder):
        def write(self, picture: np.ndarray) -> None:
            begun.set()
            assert going.wait(20)
            super().write(picture)

    with BackgroundRecorder(Stuck(tmp_path / "a.avi", SIZE, 10.0)) as sink:
        for index in range(8):
            sink.take(np.full((48, 64, 3), 10 * (index + 1), np.uint8), index / 10)
            assert begun.wait(20)
        going.set()
    greys = greys_of(tmp_path / "a.avi")
    assert greys == [10] * 7 + [80]  # the newest, and the time until then


def test_what_ends_a_recording_beside_a_run_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: SimpleNamespace(free=0))
    with (
        pytest.raises(SourceError, match="nothing is kept"),
        BackgroundRecorder(Recorder(tmp_path / "a.avi", SIZE, 10.0)) as sink,
    ):
        for index in range(200):
            sink.take(PICTURE, index / 10)
            time.sleep(0.02)
    with (
        pytest.raises(SourceError, match="nothing is kept"),
        BackgroundRecorder(Recorder(tmp_path / "a.avi", SIZE, 10.0)) as sink,
    ):
        sink.take(PICTURE, 0.0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), Killed()])
def test_what_was_recorded_until_it_was_stopped_is_kept(tmp_path: Path, stop: BaseException) -> None:
    with pytest.raises(type(stop)):
        record(tmp_path / "a.avi", 3, stop)
    assert frames_in(tmp_path / "a.avi") == 3


@pytest.mark.parametrize("ending", [".webm", ".avi"])
def test_a_recording_plays_after_a_kill_that_nobody_can_catch(tmp_path: Path, ending: str) -> None:
    program = (
        "import sys, numpy as np\n"
        "from maskclr_edge.live.recorder import Recorder\n"
        "recorder = Recorder(sys.argv[1], (160, 120), 10.0)\n"
        "rng = np.random.default_rng(0)\n"
        "for _ in range(150):\n"  # noise, as a camera has: what compresses well is held back for longer
        "    recorder.write(rng.integers(0, 255, (120, 160, 3), dtype=np.uint8))\n"
        "print(recorder.pictures, flush=True)\n"
        "sys.stdin.read()\n"
    )
    (tmp_path / f"a.partial{ending}").write_text("of an earlier kill")
    call = [sys.executable, "-c", program, str(tmp_path / f"a{ending}")]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(call, env=environment, **pipes) as process:
        assert process.stdout.readline().strip() == b"150"
        process.kill()
    assert frames_in(tmp_path / f"a.partial-2{ending}") > 100
    assert (tmp_path / f"a.partial{ending}").read_text() == "of an earlier kill"
    record(tmp_path / f"a{ending}", 3)
    assert frames_in(tmp_path / f"a{ending}") == 3 and len(list(tmp_path.iterdir())) == 3


def test_a_run_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "a.avi").write_text("old")
    with pytest.raises(ValueError, match="broken"):
        record(tmp_path / "a.avi", 3, ValueError("broken"))
    record(tmp_path / "a.avi", 0)
    assert (tmp_path / "a.avi").read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.avi"]


def test_a_disk_that_fills_up_ends_the_recording_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = iter([1 << 40, 1 << 40, 1 << 20])
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: SimpleNamespace(free=next(room)))
    with pytest.raises(SourceError, match=r"1 MB left, .*the 2 pictures until then are kept"):
        record(tmp_path / "a.avi", 5)
    assert frames_in(tmp_path / "a.avi") == 2
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: SimpleNamespace(free=0))
    with pytest.raises(SourceError, match="nothing is kept"):
        record(tmp_path / "b.avi", 5)
    assert [file.name for file in tmp_path.iterdir()] == ["a.avi"]


def test_places_and_endings_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ends in \.webm, \.mp4, \.avi"):
        Recorder(tmp_path / "a.gif", SIZE, 10.0)
    with pytest.raises(SourceError, match="does not exist"):
        Recorder(tmp_path / "nowhere" / "a.avi", SIZE, 10.0)
