"""Cameras as they are in the world: they go and come back, are busy, send garbage, or hang on a ribbon."""

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
from maskclr_edge.live.cameras import CameraSource, connect_address
from maskclr_edge.live.sources import open_source


def picture(number: int, size: tuple[int, int] = (64, 48)) -> Any:
    image = np.full((size[1], size[0], 3), 20, np.uint8)
    image[:, : 2 + number % 60] = 220
    return image


class Mjpeg(ThreadingHTTPServer):
    """An IP camera: pictures over HTTP until told to hang up."""

    daemon_threads = allow_reuse_address = True

    def __init__(
        self, port: int = 0, size: tuple[int, int] = (64, 48), pictures: int = 1000, garbage: range = range(0)
    ) -> None:
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
                    if number in garbage:
                        data = np.random.default_rng(number).bytes(2000)
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


def test_a_network_camera_that_sends_garbage_for_a_while_is_connected_to_anew() -> None:
    server = Mjpeg(garbage=range(10, 1000))
    source = camera(f"http://127.0.0.1:{server.server_address[1]}/")
    frames = source.frames()
    waiting = [next(frames).waiting for _ in range(5)]
    while not next(frames).waiting:
        pass
    assert not any(waiting) and "gone" in source.notes[-1]
    while (frame := next(frames)).waiting:
        pass
    assert frame.image is not None and frame.image.std() > 20
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

    source = CameraSource("camera 0", connect, first_wait_s=0.01)
    frames = source.frames()
    if not pictures:
        with pytest.raises(SourceError, match="camera 0: it opened and gave no picture; is it free"):
            next(frames)
    else:
        assert [next(frames).waiting for _ in range(4)] == [False, False, True, False]
        assert len(opened) == 2 and source.notes[0].startswith("camera 0 was gone for 0.")
        assert [next(frames).waiting for _ in range(3)] == [False, True, False]
        assert len(source.notes) == 1 and "camera 0 was gone 2 times, for 0." in source.notes[0]


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
