"""The pictures of live in docs/: three made-up people, drawn as the window and the page draw them.

    python benchmarks/pictures.py [--out docs]

Writes live.png and page.png; the page takes Playwright and Chromium. It takes half a minute.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from maskclr_edge.data import made_up_clips
from maskclr_edge.data.recording import Recording, write_recording
from maskclr_edge.live.labeller import LiveSettings
from maskclr_edge.live.overlay import Overlay
from maskclr_edge.live.pipeline import run
from maskclr_edge.live.sources import open_source
from maskclr_edge.live.view import DrawnView, EndRun
from maskclr_edge.runtime import Classifier
from maskclr_edge.runtime.importance import JointImportance

ROOT = Path(__file__).resolve().parents[1]
ACTIONS = ("jumping_jacks", "pullup", "squat")
SIZE_WH, FPS, SECONDS = (1280, 720), 30.0, 30
#: when the picture is taken, and the page, in seconds of the source
PICTURE_S, PAGE_S = 6.0, 24.0


class LastPicture:
    """A sink that keeps the picture of PICTURE_S."""

    wanted = True

    def __init__(self) -> None:
        self.picture: Any = None

    def take(self, picture: Any, time_s: float) -> None:
        """Keep the picture, and end the run when it is time."""
        self.picture = picture
        if time_s >= PICTURE_S:
            raise EndRun


def performance(path: Path) -> None:
    """Three people side by side, each with the same action again and again."""
    people = []
    for place, name in enumerate(ACTIONS):
        once = made_up_clips(1, seed=5, frames=(75, 75), classes=(name,)).annotations[0].keypoints
        there_and_back = np.concatenate((once, once[:, ::-1]), axis=1)  # so that nobody jumps
        keypoints = np.tile(there_and_back, (1, SECONDS * int(FPS) // 150, 1, 1))
        seen = keypoints[..., 2] > 0
        middle = np.median(keypoints[..., :2][seen], axis=0)
        centre = np.array([SIZE_WH[0] * (place + 0.5) / len(ACTIONS), 0.52 * SIZE_WH[1]])
        keypoints[..., :2] = np.where(seen[..., None], keypoints[..., :2] - middle + centre, 0)
        people.append(keypoints)
    write_recording(path, Recording(np.concatenate(people), "coco17", SIZE_WH, FPS, "three made-up people"))


def picture(source: Path, out: Path) -> None:
    """The overlay with joint importance."""
    opened, sink = open_source(str(source)), LastPicture()
    view = DrawnView(Overlay(SIZE_WH, "coco17"), [sink])
    with Classifier.open(threads=1) as classifier:
        run(opened, classifier, None, LiveSettings(), realtime=True, importance=JointImportance("bundled"),
            views=[view])  # fmt: skip
    cv2.imwrite(str(out), sink.picture)


def page(source: Path, out: Path) -> None:
    """The page in a browser, as a user starts it."""
    from playwright.sync_api import sync_playwright

    call = [sys.executable, "-m", "maskclr_edge", "live", str(source), "--realtime", "--web"]
    call += ["--web-address", "127.0.0.1:8799"]
    with subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        url = next(line for line in process.stderr if "the page:" in line).split()[-1]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            tab = browser.new_page(viewport={"width": 1440, "height": 900})
            tab.goto(url)
            time.sleep(PAGE_S)
            tab.screenshot(path=str(out))
            browser.close()
        process.terminate()


def main() -> int:
    """Write both pictures and give the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    out = parser.parse_args().out
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "three made-up people.npz"
        performance(source)
        picture(source, out / "live.png")
        page(source, out / "page.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
