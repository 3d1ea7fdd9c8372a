"""A camera that is busy, unplugged and back, or sends garbage, through OpenCV's own code for V4L2."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("cv2", reason="video needs the extra live")
import cv2

from maskclr_edge.live import cameras

ROOT = Path(__file__).resolve().parents[2]
BUSY, GARBAGE, GOOD, UNPLUGGED = "b", "g", "o", "u"


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that stands in for the kernel's half of a camera."""
    compiler = shutil.which("cc")
    if not sys.platform.startswith("linux") or compiler is None:
        pytest.skip("needs Linux and a C compiler")
    library = tmp_path_factory.mktemp("v4l2") / "v4l2.so"
    source = ROOT / "tests" / "rig" / "v4l2.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


class Camera:
    """A node in a folder of its own, and programs that see it as a camera."""

    def __init__(self, driver: Path, folder: Path) -> None:
        self.node, self.state, self._driver = folder / "video0", folder / "state", driver
        self.node.touch()
        self.state.write_text(GOOD)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PYTHONPATH": str(ROOT),
            "LD_PRELOAD": str(self._driver),
            "FAKE_CAMERA": str(self.state),
        }
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, env=os.environ | environment, capture_output=True, text=True, timeout=60
        )

    def script(self, body: str) -> list[dict]:
        """What a script prints that has the camera as ``frames``; nothing else may be printed, by anyone."""
        start = (
            "import json, os, sys\n"
            "from maskclr_edge.live import cameras\n"
            "node, state = sys.argv[1:]\n"
            "cameras._STILL_S = 0.2\n"
            "def now(letter): open(state, 'w').write(letter)\n"
            "def say(frame):\n"
            "    mean = None if frame.image is None else float(frame.image.mean())\n"
            "    print(json.dumps({'index': frame.index, 'waiting': frame.waiting, 'mean': mean,\n"
            "                      'note': frame.note, 'notes': source.notes}))\n"
            "source = cameras.CameraSource('the camera', cameras.connect_device('the camera', node),\n"
            "                              first_wait_s=0.05)\n"
            "frames = source.frames()\n"
        )
        ran = self.run("-c", start + body, str(self.node), str(self.state))
        assert ran.returncode == 0 and not ran.stderr, ran.stderr
        return [json.loads(line) for line in ran.stdout.splitlines()]


@pytest.fixture
def camera(driver: Path, tmp_path: Path) -> Camera:
    return Camera(driver, tmp_path)


def test_a_camera_that_another_program_has_is_one_line(camera: Camera) -> None:
    camera.state.write_text(BUSY)
    ran = camera.run("-m", "maskclr_edge", "live", f"v4l2://{camera.node}", "--headless")
    assert ran.returncode == 2 and not ran.stdout and ran.stderr.count("\n") == 1
    assert "it is busy" in ran.stderr and f"fuser -v {camera.node}" in ran.stderr


def test_a_camera_is_unplugged_busy_for_a_while_and_back(camera: Camera) -> None:
    seen = camera.script(
        "for _ in range(3): say(next(frames))\n"
        f"now('{UNPLUGGED}'); os.rename(node, node + '.gone')\n"
        "for _ in range(3): say(next(frames))\n"
        f"os.rename(node + '.gone', node); now('{BUSY}')\n"
        "for _ in range(2): say(next(frames))\n"
        f"now('{GOOD}')\n"
        "while (frame := next(frames)).waiting: pass\n"
        "say(frame); say(next(frames))\n"
    )
    assert [one["waiting"] for one in seen] == [False] * 3 + [True] * 5 + [False] * 2
    assert [one["index"] for one in seen] == [0, 1, 2, 3, 3, 3, 3, 3, 3, 4]
    assert seen[0]["mean"] < seen[1]["mean"] < seen[2]["mean"]  # it gets brighter, from the start each time
    assert seen[8]["mean"] == seen[0]["mean"] < seen[9]["mean"]
    assert seen[5]["notes"] == ["the camera is gone; trying again"]
    assert len(seen[9]["notes"]) == 1 and "the camera was gone for" in seen[9]["notes"][0]


def test_garbage_is_a_picture_that_stands_still_and_is_said(camera: Camera) -> None:
    camera.state.write_text(GARBAGE)
    seen = camera.script(
        "for _ in range(30): say(next(frames))\n"
        f"now('{UNPLUGGED}'); next(frames); now('{GOOD}')\n"
        "while (frame := next(frames)).waiting: pass\n"
        "say(frame)\n"
    )
    assert seen[0]["note"] == "" and "stands still for" in seen[29]["note"]
    assert sum("stood still" in note for note in seen[29]["notes"]) == 1
    assert seen[30]["note"] == "" and not seen[30]["waiting"]


def test_an_exception_of_opencv_s_is_a_camera_that_is_gone() -> None:
    def broken() -> None:
        raise cv2.error("Assertion failed")

    capture = SimpleNamespace(read=broken, release=lambda: None)
    assert cameras._Capture(cv2, capture).read() == (False, None)


@pytest.mark.parametrize(
    ("present", "allowed", "said"),
    [
        ((), True, "no camera is plugged in"),
        (("video2",), True, "there is no /dev/video0; there is /dev/video2"),
        (("video0",), False, "may not use /dev/video0"),
        (("video0",), True, "fuser -v /dev/video0"),
    ],
)
def test_why_a_camera_does_not_open(
    monkeypatch: pytest.MonkeyPatch, present: tuple[str, ...], allowed: bool, said: str
) -> None:
    monkeypatch.setattr(cameras.sys, "platform", "linux")
    monkeypatch.setattr(cameras.os, "access", lambda path, mode: allowed)
    monkeypatch.setattr(Path, "exists", lambda path: path.name in present)
    monkeypatch.setattr(Path, "glob", lambda folder, pattern: [folder / name for name in present])
    assert said in cameras._why_closed(0)
