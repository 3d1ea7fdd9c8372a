"""Sources as they are in the world: cameras that go and come back, cut files, other programs' lines."""

import json
import os
import stat
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("cv2", reason="video needs the extra live")
import cv2

from maskclr_edge.errors import SourceError
from maskclr_edge.live.lines import LinesSource
from maskclr_edge.live.sources import open_source
from maskclr_edge.live.video import CameraSource, connect_address


def picture(number: int, size: tuple[int, int] = (64, 48)) -> Any:
    image = np.full((size[1], size[0], 3), 20, np.uint8)
    image[:, : 2 + number % 60] = 220
    return image


class Mjpeg(ThreadingHTTPServer):
    """An IP camera: pictures over HTTP until told to hang up."""

    daemon_threads = allow_reuse_address = True

    def __init__(self, port: int = 0, size: tuple[int, int] = (64, 48), pictures: int = 1000) -> None:
        stop = self.stop = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                for number in range(pictures):
                    if stop.wait(0.02):
                        return
                    data = cv2.imencode(".jpg", picture(number, size))[1].tobytes()
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                    try:
                        self.wfile.write(head.encode() + data + b"\r\n")
                    except OSError:
                        return

            def log_message(self, *_: Any) -> None: ...

        super().__init__(("127.0.0.1", port), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def gone(self) -> int:
        """Hang up and be unreachable; gives the port."""
        self.stop.set()
        self.shutdown()
        self.server_close()
        return int(self.server_address[1])


def camera(address: str, **more: Any) -> CameraSource:
    return CameraSource("the camera", connect_address("the camera", address), first_wait_s=0.05, **more)


def test_a_network_camera_that_goes_away_is_waited_for_and_comes_back() -> None:
    server = Mjpeg()
    source = camera(f"http://127.0.0.1:{server.server_address[1]}/")
    assert source.resolution_wh == (64, 48) and source.live
    frames = source.frames()
    before = [next(frames) for _ in range(5)]
    assert all(frame.image is not None for frame in before)
    port = server.gone()
    gone = next(frame for frame in frames if frame.waiting)
    assert gone.image is None and "gone" in source.notes[-1]
    assert [next(frames).waiting for _ in range(2)] == [True, True]
    server = Mjpeg(port, size=(96, 80))  # back, and of another size
    back = next(frame for frame in frames if not frame.waiting)
    assert back.image is not None and back.image.shape == (48, 64, 3)
    assert back.index == gone.index and back.time_s > gone.time_s
    assert "was gone for" in source.notes[-1] and "96x80" in source.notes[-1]
    source.close()
    assert not list(frames)
    server.gone()


def test_a_camera_that_stays_away_is_given_up() -> None:
    server = Mjpeg(pictures=3)
    source = camera(f"http://127.0.0.1:{server.server_address[1]}/", patience_s=0.3)
    seen = []
    with pytest.raises(SourceError, match=r"gone for 0 s|gone for"):
        for frame in source.frames():
            seen.append(frame)
            if len(seen) == 1:
                server.gone()


def test_an_address_where_nothing_is_and_a_server_of_garbage() -> None:
    with pytest.raises(SourceError, match="nothing there gives a video"):
        open_source("http://user:secret@127.0.0.1:9/")
    with pytest.raises(SourceError) as caught:
        open_source("rtsp://user:secret@127.0.0.1:9/")
    assert "secret" not in str(caught.value)

    class Garbage(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(np.random.default_rng(0).bytes(20_000))

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Garbage)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with pytest.raises(SourceError):
        list(open_source(f"http://127.0.0.1:{server.server_address[1]}/").frames())
    server.shutdown()
    server.server_close()


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
        writer.write(picture(number))
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


@pytest.mark.parametrize("pictures", [0, 2])
def test_a_camera_that_is_busy_or_breaks_off_is_said_and_waited_for(pictures: int) -> None:
    """Drivers let a busy camera be opened, and give no picture."""

    class Device:
        def __init__(self) -> None:
            self.left = pictures

        def read(self) -> Any:
            self.left -= 1
            return (True, picture(0)) if self.left >= 0 else (False, None)

        def release(self) -> None: ...

    opened: list[Device] = []

    def connect() -> Any:
        opened.append(Device())
        return opened[-1], (64, 48), 10.0

    frames = CameraSource("camera 0", connect, first_wait_s=0.01).frames()
    if not pictures:
        with pytest.raises(SourceError, match="camera 0: it opened and gave no picture; is it free"):
            next(frames)
    else:
        assert [next(frames).waiting for _ in range(4)] == [False, False, True, False]
        assert len(opened) == 2


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


@pytest.fixture
def gst(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A gst-launch that gives two grey pictures and half of a third, and keeps what it was asked for."""
    asked = tmp_path / "asked"
    script = tmp_path / "gst-launch-1.0"
    script.write_text(
        f'#!/bin/sh\necho "$@" > {asked}\nhead -c {2 * 64 * 48 * 3 + 50} /dev/zero | tr "\\0" z\n'
    )
    script.chmod(script.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    yield asked


def test_a_ribbon_camera_is_read_through_a_pipe(gst: Path) -> None:
    source = open_source("csi://1?width=64&height=48&fps=15")
    frames = source.frames()
    images = [next(frames).image for _ in range(2)]
    assert all(image.shape == (48, 64, 3) and (image == ord("z")).all() for image in images)
    assert next(frames).waiting
    source.close()
    assert source.fps == 15 and "sensor-id=1" in gst.read_text() and "framerate=15/1" in gst.read_text()


def test_a_ribbon_camera_without_gstreamer_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SourceError, match=r"gstreamer1\.0-tools"):
        open_source("csi://0")
