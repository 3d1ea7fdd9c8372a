"""Sources as they are in the world: addresses that cannot be, cut files, other programs' lines."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("cv2", reason="video needs the extra live")
import cv2

from maskclr_edge.errors import SourceError
from maskclr_edge.live.lines import LinesSource
from maskclr_edge.live.sources import open_source


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("v4l2:///dev/nothing", "no such device"),
        ("v4l2://video0", "v4l2:///dev/video0"),
        ("csi://front", "csi://0"),
        ("csi://0?width=many", r"width=1280"),
        ("ftp://somewhere/video.mp4", "scheme ftp is not known"),
        ("file:///nowhere.mp4", "no such file"),
    ],
)
def test_addresses_that_cannot_be_are_said_in_one_line(place: str, said: str) -> None:
    with pytest.raises(SourceError, match=said) as caught:
        open_source(place)
    assert "\n" not in str(caught.value)


def write_video(path: Path, frames: int, fps: float = 10.0, codec: str = "MJPG") -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), fps, (64, 48))
    for number in range(frames):
        writer.write(np.full((48, 64, 3), 5 * number, np.uint8))
    writer.release()


def test_a_cut_video_gives_what_is_left_and_says_so(tmp_path: Path) -> None:
    whole = tmp_path / "whole.avi"
    write_video(whole, 40)
    data = whole.read_bytes()
    (tmp_path / "cut.avi").write_bytes(data[: len(data) // 2])
    source = open_source(str(tmp_path / "cut.avi"))
    frames = list(source.frames())
    assert 5 < len(frames) < 40
    assert (source.total <= len(frames)) or "cut short" in source.notes[-1]
    for size in (10, 200):
        (tmp_path / "head.avi").write_bytes(data[:size])
        with pytest.raises(SourceError):
            list(open_source(str(tmp_path / "head.avi")).frames())


def test_times_are_those_in_the_file_whatever_rate_it_states(tmp_path: Path) -> None:
    write_video(tmp_path / "slow.webm", 12, fps=5, codec="VP80")
    times = [frame.time_s for frame in open_source(f"file://{tmp_path}/slow.webm").frames()]
    np.testing.assert_allclose(times, np.arange(12) / 5, atol=0.02)


def test_a_rate_that_cannot_be_is_not_believed_nor_the_times_made_from_it(tmp_path: Path) -> None:
    write_video(tmp_path / "fast.avi", 12, fps=1000)
    source = open_source(str(tmp_path / "fast.avi"))
    assert source.fps == 30 and source.notes == ["the file says 1000 fps; 30 is assumed"]
    np.testing.assert_allclose([frame.time_s for frame in source.frames()], np.arange(12) / 30)


def lines_source(tmp_path: Path, lines: list[Any], **more: Any) -> LinesSource:
    path = tmp_path / "lines"
    path.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines))
    return LinesSource(**more, descriptor=os.open(path, os.O_RDONLY))


PERSON = [[float(joint), 20.0, 0.9] for joint in range(17)]
FIRST = {"time_s": 0.0, "layout": "coco17", "resolution_wh": [640, 480], "people": [PERSON]}


def test_lines_of_another_program_are_frames(tmp_path: Path) -> None:
    lines = [FIRST, {"time_s": 0.5, "people": []}, {"time_s": 0.6, "people": [PERSON, PERSON]}]
    source = lines_source(tmp_path, lines)
    frames = list(source.frames())
    assert [frame.time_s for frame in frames] == [0.0, 0.5, 0.6]
    assert [frame.people.shape for frame in frames] == [(1, 17, 3), (0, 17, 3), (2, 17, 3)]
    assert (source.layout, source.resolution_wh, source.notes) == ("coco17", (640, 480), [])
    given = lines_source(tmp_path, [{"people": []}], layout="h36m17", resolution_wh=(64, 48))
    assert given.layout == "h36m17" and next(given.frames()).time_s >= 0


def test_lines_that_are_none_are_left_out_and_counted(tmp_path: Path) -> None:
    bad: list[Any] = [
        "not json", "[1]", {"time_s": 1}, {"people": [[[1, 2, 3]]], "time_s": 1}, {"people": 3, "time_s": 1},
        {"people": [[[1e9, 2, 0.5]] * 17], "time_s": 1}, {"people": [[[1, 2, 7]] * 17], "time_s": 1},
        '{"people": [], "time_s": NaN}', {"people": [], "time_s": -1}, {"people": [PERSON] * 65, "time_s": 1},
        '{"people": [[[NaN, 1, 1]]]}', {"people": [], "time_s": 0.0}, {"people": [], "colour": 1},
        "x" * (2 << 20), "[" * 100_000,
    ]  # fmt: skip
    source = lines_source(tmp_path, [FIRST, *bad, {"time_s": 2.0, "people": []}])
    assert [frame.time_s for frame in source.frames()] == [0.0, 2.0]
    assert source.notes[0].startswith(f"{len(bad)} lines left out")


@pytest.mark.parametrize(
    ("first", "said"),
    [
        ({"people": []}, "layout"),
        (FIRST | {"resolution_wh": [640]}, "two integers"),
        (FIRST | {"layout": "coco18"}, "coco18"),
        ("hello", "not a line of JSON"),
        ("", "no line came"),
    ],
)
def test_a_first_line_that_is_none_ends_it(tmp_path: Path, first: Any, said: str) -> None:
    with pytest.raises(Exception, match=said) as caught:
        lines_source(tmp_path, [first])
    assert getattr(caught.value, "exit_code", 0) == 2
