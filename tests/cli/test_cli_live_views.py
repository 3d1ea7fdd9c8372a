"""What ``maskclr-edge live`` shows, and where: pictures, logs and recordings as a user gets them."""

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from maskclr_edge.cli.live_terminal import render
from maskclr_edge.cli.main import cli, main
from maskclr_edge.data import made_up_clips
from maskclr_edge.data.recording import Recording, write_recording

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def squats(tmp_path_factory):
    """Four seconds of one made-up person doing squats."""
    clip = made_up_clips(1, seed=4, frames=(120, 120), classes=("squat",)).annotations[0]
    path = tmp_path_factory.mktemp("views") / "squats.npz"
    write_recording(path, Recording(clip.keypoints, clip.layout, clip.resolution_wh, 30.0, "squats"))
    return path


def invoke(*arguments):
    return CliRunner().invoke(cli, ["live", *map(str, arguments)], catch_exceptions=False)


def test_importance_is_drawn_and_its_time_is_said(squats, tmp_path):
    cv2 = pytest.importorskip("cv2", reason="drawing needs the extra live")
    pytest.importorskip("onnx", reason="importance needs the extra export")
    pictures = []
    for options in ((), ("--importance",)):
        video = tmp_path / f"{len(options)}.avi"
        facts = json.loads(invoke(squats, "--record", video, *options, "--json", "-").stdout)
        assert ("importance" in facts["stages_ms"]) == bool(options)
        capture = cv2.VideoCapture(str(video))
        pictures.append([capture.read()[1] for _ in range(119)][-1].astype(int))
        capture.release()
    pink = [((p[..., 0] > 150) & (p[..., 1] < p[..., 0] - 60) & (p[..., 2] > 150)).sum() for p in pictures]
    assert pink[0] < 20 < 100 < pink[1]


def test_a_terminal_shows_people_and_figures(squats):
    pty = pytest.importorskip("pty", reason="needs a pseudo-terminal")
    controller, terminal = pty.openpty()
    call = [sys.executable, "-m", "maskclr_edge", "live", str(squats), "--terminal", "--realtime"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "100", "LINES": "40", "TERM": "xterm"}
    process = subprocess.Popen(call, stdout=terminal, stderr=subprocess.DEVNULL, env=environment)
    os.close(terminal)
    seen = b""
    with contextlib.suppress(OSError):  # how a pseudo-terminal says that its other side is closed
        while data := os.read(controller, 65536):
            seen += data
    os.close(controller)
    assert process.wait(60) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())
    assert "squats" in text and "1 in view" in text and "ms: " in text  # figures
    assert re.search(r"━ +\d+ squat", text) and "▆" in text  # likeliest classes, and a timeline
    assert "squat" in text[text.index("person 1") :] and re.search(r"\d+ frames \(", text)


def test_a_terminal_view_draws_odd_names_and_nobody():
    facts = {
        **{"source": "camera\x1b[2J", "time_s": 12.0, "fps": 0.0, "age_ms": 3, "dropped": 0, "seen": [1]},
        **{"notes": ["away\x07"], "stages_ms": {}, "span_s": 60.0, "classes": ["[red]a"], "changes": []},
    }
    person = {
        "number": 1,
        "label": "[red]a",
        "top": [["[red]a", 1.0], ["\x1bb", 0.0]],
        "line": [[0, 12, "x"]],
    }
    for people in ([], [person]):
        screen = Console(file=io.StringIO(), width=100)
        screen.print(render(facts | {"people": people}))
        text = screen.file.getvalue()
        assert "\x1b" not in text and "\x07" not in text
        assert ("[red]a" in text) == bool(people) and ("Nobody" in text) != bool(people)


def test_a_terminal_view_needs_a_terminal(squats, capsys):
    assert main(["live", str(squats), "--terminal"]) == 2
    message = capsys.readouterr().err
    assert "needs a terminal" in message and message.count("\n") == 1


@pytest.fixture
def display():
    """A screen that nobody sees."""
    if not (xvfb := shutil.which("Xvfb")):
        pytest.skip("needs Xvfb: apt install xvfb")
    reading, writing = os.pipe()
    call = [xvfb, "-displayfd", str(writing), "-screen", "0", "1024x768x24", "-nolisten", "tcp"]
    server = subprocess.Popen(call, pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    with os.fdopen(reading) as told:
        yield f":{told.readline().strip()}"
    server.terminate()
    server.wait(20)


def test_a_window_opens_where_there_is_a_display(squats, display):
    pytest.importorskip("cv2", reason="drawing needs the extra live")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "DISPLAY": display}
    for options, stage in (((), "show"), (("--headless",), "")):
        call = [sys.executable, "-m", "maskclr_edge", "live", str(squats), "--json", "-", *options]
        done = subprocess.run(call, env=environment, capture_output=True, text=True, timeout=120, check=True)
        shown = json.loads(done.stdout)["stages_ms"]
        assert ("show" in shown) == bool(stage)


def test_a_display_that_cannot_be_used_is_said(squats, monkeypatch, capsys):
    cv2 = pytest.importorskip("cv2", reason="drawing needs the extra live")

    def refused(*arguments):
        raise cv2.error("no rights to the display")

    monkeypatch.setenv("DISPLAY", ":99")
    monkeypatch.setattr(cv2, "namedWindow", refused)
    assert main(["live", str(squats)]) == 2
    message = capsys.readouterr().err
    assert "no rights" in message and "--headless" in message and message.count("\n") == 1


def test_a_log_is_whole_lines_with_times_and_scores_after_a_kill(squats, tmp_path):
    log = tmp_path / "events.jsonl"
    call = [sys.executable, "-m", "maskclr_edge", "live", str(squats), "--realtime", "--log", str(log)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(call, env=environment, stdout=subprocess.PIPE, text=True) as process:
        said = (
            process.stdout.readline()
        )  # it prints a change before it logs it, and prints no other for a while
        for _ in range(200):
            if log.read_text():
                break
            time.sleep(0.05)
        process.kill()
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert log.read_text().endswith("\n") and events[0]["label"] == said.split()[4]
    assert 0.5 < events[0]["time_s"] < 4 and 0 < events[0]["probability"] <= 1
    assert events[0]["person"] == 1 and len(events[0]["top"]) == 3
