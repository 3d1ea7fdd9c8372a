"""Recordings are whole: what stops them, what they leave behind, and a disk that fills up."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("cv2", reason="recording needs OpenCV")
from maskclr_edge.errors import ConfigError, SourceError
from maskclr_edge.live import recorder as module
from maskclr_edge.live.recorder import Recorder

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


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), Killed()])
def test_what_was_recorded_until_it_was_stopped_is_kept(tmp_path: Path, stop: BaseException) -> None:
    with pytest.raises(type(stop)):
        record(tmp_path / "a.avi", 3, stop)
    assert frames_in(tmp_path / "a.avi") == 3


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
