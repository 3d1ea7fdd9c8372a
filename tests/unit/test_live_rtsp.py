"""A network camera goes away and comes back: a small RTSP server of JPEG over RTP (RFC 2326, 2435)."""

import socketserver
import struct
import threading
import time
from typing import Any

import numpy as np
import pytest

pytest.importorskip("cv2", reason="video needs OpenCV")
import cv2

from maskclr_edge.live.cameras import CameraSource, connect_address

SIZE, QUALITY = (64, 48), 80
SDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 26\r\na=control:video\r\n"


def scan(grey: int) -> bytes:
    """The entropy-coded part of a JPEG: RTP sends the tables as one number, the quality."""
    picture = np.full((SIZE[1], SIZE[0], 3), grey, np.uint8)
    data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
    start = data.index(b"\xff\xda")
    return bytes(data[start + 2 + int.from_bytes(data[start + 2 : start + 4], "big") : -2])


class Rtsp(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Session)
        self.stop = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def gone(self) -> int:
        """Break every connection off and take no more; gives the port."""
        self.stop.set()
        self.shutdown()
        self.server_close()
        return int(self.server_address[1])


class Session(socketserver.StreamRequestHandler):
    server: Rtsp

    def handle(self) -> None:
        while line := self.rfile.readline().decode():
            fields = {}
            while header := self.rfile.readline().decode().strip():
                name, _, value = header.partition(":")
                fields[name.lower()] = value.strip()
            method = line.split()[0]
            more, body = "", ""
            if method == "OPTIONS":
                more = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
            elif method == "DESCRIBE":
                more, body = f"Content-Type: application/sdp\r\nContent-Length: {len(SDP)}\r\n", SDP
            elif method == "SETUP":
                more = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
            answer = f"RTSP/1.0 200 OK\r\nCSeq: {fields['cseq']}\r\nSession: 1\r\n{more}\r\n{body}"
            self.wfile.write(answer.encode())
            if method == "PLAY":
                self.play()
                return

    def play(self) -> None:
        for number in range(10_000):
            if self.server.stop.wait(0.04):
                return
            jpeg = struct.pack(">IBBBB", 0, 1, QUALITY, SIZE[0] // 8, SIZE[1] // 8) + scan(40 + number % 150)
            packet = struct.pack(">BBHII", 0x80, 0x80 | 26, number, 3600 * number, 1) + jpeg
            try:
                self.wfile.write(b"$\0" + struct.pack(">H", len(packet)) + packet)
            except OSError:
                return


def test_a_camera_behind_rtsp_goes_away_and_comes_back() -> None:
    server = Rtsp()
    address = f"rtsp://127.0.0.1:{server.server_address[1]}/video"
    source = CameraSource("the camera", connect_address("the camera", address), first_wait_s=0.05)
    assert source.resolution_wh == SIZE
    frames: Any = source.frames()
    greys = [float(next(frames).image.mean()) for _ in range(5)]
    assert greys[0] >= 30 and np.diff(greys).min() > 0
    port = server.gone()
    gone = next(frame for frame in frames if frame.waiting)
    assert "the camera is gone" in source.notes[-1]
    time.sleep(0.1)
    server = Rtsp(port)
    back = next(frame for frame in frames if not frame.waiting)
    assert back.index == gone.index and back.time_s > gone.time_s and "was gone for" in source.notes[-1]
    source.close()
    assert not list(frames)
    server.gone()
