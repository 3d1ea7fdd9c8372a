"""``maskclr-edge live --web`` in a browser: what is on the page moves, and its buttons work."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from maskclr_edge.cli.main import main
from maskclr_edge.data import made_up_clips
from maskclr_edge.data.recording import Recording, write_recording

pytest.importorskip("cv2", reason="the page needs the extra live")
pytest.importorskip("aiohttp", reason="the page needs the extra web")
ROOT = Path(__file__).resolve().parents[2]
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]  # fmt: skip
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def performance(tmp_path_factory):
    """A minute of one made-up person, doing squats and jumping jacks in turn."""
    parts = [
        made_up_clips(1, seed=seed, frames=(120, 120), classes=(name,)).annotations[0]
        for seed in range(8)
        for name in ("squat", "jumping_jacks")
    ]
    keypoints = np.concatenate([part.keypoints for part in parts], axis=1)
    path = tmp_path_factory.mktemp("web") / "minute.npz"
    write_recording(path, Recording(keypoints, "coco17", parts[0].resolution_wh, 30.0, "minute"))
    return path


@contextlib.contextmanager
def served(source, *options, address="127.0.0.1:0"):
    """The address that the program says its page has, and the program."""
    call = [sys.executable, "-m", "maskclr_edge", "live", str(source), "--realtime", "--web"]
    process = subprocess.Popen(
        [*call, "--web-address", address, *map(str, options)],
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if found := re.search(r"the page: (\S+)", line):
                yield found[1], process
                return
        raise AssertionError("".join(lines))
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra dev")
    if CHROMIUM is None:
        pytest.skip("needs a Chromium on the path: apt install chromium")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield opened
        opened.close()


def until(true):
    """Ask for a minute; the page forbids the polling that playwright would put into it."""
    for _ in range(300):
        if true():
            return
        time.sleep(0.2)
    raise AssertionError("it never came true")


def screen_of(page):
    return page.locator(".screen").screenshot()


def test_the_page_shows_a_run_and_its_buttons_work(performance, browser, tmp_path):
    asked, said = [], []
    with served(performance, "--save-to", tmp_path, "--web-token", "long enough") as (url, _):
        base = url.partition("?")[0]
        stranger = browser.new_page()
        assert stranger.goto(base).status == 401
        assert stranger.locator("#picture").count() == 0
        stranger.close()
        page = browser.new_page(viewport={"width": 1200, "height": 800})
        page.set_default_timeout(60_000)
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(url)
        assert page.url == base  # the token does not stay in the address
        until(lambda: page.evaluate("document.querySelector('#picture').naturalWidth") >= 640)
        first = screen_of(page)
        until(lambda: screen_of(page) != first)  # the picture moves
        for label in ("squat", "jumping jacks"):  # and so do the labels
            page.wait_for_selector(f'.name b:text-is("{label}")')
        until(lambda: page.locator("#lines .line span").count() >= 2)
        assert {"track", "classify", "show"} <= set(page.locator(".took > span").all_inner_texts())
        page.click("#snapshot")
        page.wait_for_selector("#said a")
        with page.expect_download() as download:
            page.click("#said a")
        picture = tmp_path / download.value.suggested_filename
        assert picture.name.startswith("snapshot_") and picture.read_bytes()[1:4] == b"PNG"
        page.click("#record")
        page.wait_for_selector("#record[aria-pressed=true]")
        assert page.inner_text("#said").startswith("Recording recording_")
        page.wait_for_selector('#record:has-text("Stop 0:01")')  # how long it has run
        page.click("#record")
        page.wait_for_selector("#record[aria-pressed=false]")
        page.set_viewport_size({"width": 360, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360  # nothing sticks out on a phone
        page.close()
    assert {address for address in asked if not address.startswith((base, "data:"))} == set()
    assert said == []
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".png", ".webm"]


def test_a_page_whose_program_goes_says_so_and_comes_back_with_it(performance, browser):
    page = browser.new_page(color_scheme="dark")
    page.set_default_timeout(60_000)
    drawn = """(() => {
        const kept = document.querySelector("#kept");
        if (kept.width < 640) return false;
        const pixels = kept.getContext("2d").getImageData(0, 0, kept.width, kept.height).data;
        return pixels.some((value, place) => place % 4 < 3 && value > 200);
    })()"""
    with served(performance) as (url, process):
        page.goto(url)
        page.wait_for_selector(".person")
        until(lambda: page.evaluate(drawn))
        process.kill()
        page.wait_for_selector('#over:has-text("No answer from the program for")')
        assert page.is_disabled("#snapshot") and page.is_disabled("#record")
        assert page.is_hidden("#picture") and page.evaluate(drawn)  # the last picture stays
    with served(performance, address=url.removeprefix("http://").rstrip("/")):
        page.wait_for_selector("body:not(.lost) #over", state="hidden")
        until(lambda: page.evaluate("document.querySelector('#picture').naturalWidth") >= 640)
        assert page.is_enabled("#snapshot")
    page.close()


def test_bad_calls_are_answered_in_one_line(performance, tmp_path, capsys):
    for options, what in (
        (["--web-address", "0.0.0.0:8765"], "--web-token"),
        (["--web-address", "here"], "HOST:PORT"),
        (["--save-to", str(tmp_path / "none")], "no such folder"),
    ):
        assert main(["live", str(performance), "--web", *options]) == 2
        message = capsys.readouterr().err
        assert what in message and message.count("\n") == 1, message
