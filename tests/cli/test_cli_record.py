"""``maskclr-edge record``: from a recording, or told what to do, to a file that train takes."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from maskclr_edge.checkpoint import read_checkpoint
from maskclr_edge.cli.main import cli, main
from maskclr_edge.data import made_up_clips, read_annotations
from maskclr_edge.data.recording import Recording, write_recording
from maskclr_edge.runtime.bundled import bundled_checkpoint

ACTIONS = ("jumping_jacks", "squat", "pullup")
ROUNDS, SECONDS = 3, 4


def invoke(*arguments):
    return CliRunner().invoke(cli, list(map(str, arguments)), catch_exceptions=False)


@pytest.fixture(scope="module")
def performance(tmp_path_factory):
    """A folder with a recording of three actions in turn, and the spans of it."""
    folder = tmp_path_factory.mktemp("record")
    frames = 30 * SECONDS
    turns = [
        made_up_clips(1, seed=round_, frames=(frames, frames), classes=(action,)).annotations[0]
        for round_ in range(ROUNDS)
        for action in ACTIONS
    ]
    keypoints = np.concatenate([turn.keypoints for turn in turns], axis=1)
    write_recording(folder / "me.npz", Recording(keypoints, "coco17", turns[0].resolution_wh, 30.0, "me"))
    lines = [f"{n * SECONDS}, {(n + 1) * SECONDS}, {ACTIONS[n % 3]}" for n in range(len(turns))]
    (folder / "spans.csv").write_text("start, end, label\n" + "\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def mine(performance):
    path = performance / "mine.pkl"
    spans = performance / "spans.csv"
    result = invoke("record", performance / "me.npz", "--spans", spans, "--out", path, "--json", "-")
    assert result.exit_code == 0, result.output
    return path, json.loads(result.stdout)


def test_spans_become_a_file_with_splits(mine):
    path, facts = mine
    found = read_annotations(path)
    assert found.class_names == ACTIONS and facts["classes"] == list(ACTIONS)
    assert {split: set(counts) for split, counts in facts["clips"].items()} == {
        "train": set(ACTIONS), "val": set(ACTIONS),
    }  # fmt: skip
    assert sum(sum(counts.values()) for counts in facts["clips"].values()) == len(found.annotations)
    assert all(a.keypoints.shape[1] == pytest.approx(75, abs=3) for a in found.annotations)


def test_the_shipped_config_fits_the_bundled_backbone():
    pytest.importorskip("torch", reason="training needs the extra train")
    from maskclr_edge.training import TrainConfig, find_config

    config = TrainConfig.from_yaml(find_config("own_actions"))
    stored = read_checkpoint(bundled_checkpoint()).config
    assert replace(config.model, num_classes=1, hidden_dim=1) == replace(stored, num_classes=1, hidden_dim=1)


@pytest.mark.full
def test_train_takes_it_and_live_names_the_actions(mine, performance, tmp_path):
    pytest.importorskip("torch", reason="training needs the extra train")
    _, facts = mine
    words = facts["next"].split()[1:]
    words[words.index("run")] = str(tmp_path / "run")
    result = invoke(*words, "--set", "epochs=6", "--json", tmp_path / "train.json")
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "train.json").read_text())["val"]["top1"] > 66
    model = tmp_path / "run" / "best.safetensors"
    seen = json.loads(invoke("live", performance / "me.npz", "--model", model, "--json", "-").stdout)
    named = {change["label"] for change in seen["changes"]} - {"unknown", "idle"}
    assert named == set(ACTIONS)


def test_being_told_what_to_do(performance, tmp_path):
    path = tmp_path / "told.pkl"
    arguments = (performance / "me.npz", "--labels", "up, down", "--rounds", 2, "--hold", 4, "--rest", 1)
    result = invoke("record", *arguments, "--out", path)
    assert result.exit_code == 0, result.output
    assert read_annotations(path).class_names == ("up", "down")
    order = [line.split()[1] for line in result.stderr.splitlines() if line.startswith("NOW")]
    assert order == ["up", "down", "up", "down"]
    assert "action_classes=2" in result.output


def test_a_window_says_what_to_do_in_large_letters(performance, tmp_path, monkeypatch):
    pytest.importorskip("cv2", reason="drawing needs the extra live")
    from maskclr_edge.live import window
    from maskclr_edge.live.overlay import Overlay

    captions, draw = [], Overlay.draw
    pictures = []

    class Window:
        wanted = True

        def __init__(self, size_wh):
            pass

        def take(self, picture, time_s):
            pictures.append(picture)

        def close(self):
            pictures.append("closed")

    def drawn(self, image, people, figures, caption=""):
        captions.append(caption)
        return draw(self, image, people, figures, caption)

    monkeypatch.setattr(window, "has_display", lambda: True)
    monkeypatch.setattr(window, "WindowSink", Window)
    monkeypatch.setattr(Overlay, "draw", drawn)
    arguments = ("--labels", "up,down", "--rounds", 1, "--hold", 3, "--rest", 1)
    invoke("record", performance / "me.npz", *arguments, "--out", tmp_path / "a.pkl")
    order = list(dict.fromkeys(captions))
    assert order[0] == "next  up   1" and order[1:3] == ["NOW   up   3", "NOW   up   2"]
    assert pictures[-1] == "closed" and len(pictures) == len(captions) + 1 > 200
    pictures.clear()
    invoke("record", performance / "me.npz", *arguments, "--out", tmp_path / "b.pkl", "--headless")
    assert not pictures


def test_keys_of_a_window_label_what_is_performed(performance, tmp_path, monkeypatch):
    pytest.importorskip("cv2", reason="drawing needs the extra live")
    from maskclr_edge.live import window
    from maskclr_edge.live.view import EndRun

    class Window:
        wanted = True

        def __init__(self, size_wh):
            self.now_s, self.keys = 0.0, {0.2: "1", 1.6: "2", 3.0: " "}

        def take(self, picture, time_s):
            self.now_s = time_s
            if time_s > 3.4:  # q, or the window is closed
                raise EndRun

        def pressed(self):
            return "".join(self.keys.pop(at) for at in list(self.keys) if at <= self.now_s)

        def close(self): ...

    monkeypatch.setattr(window, "has_display", lambda: True)
    monkeypatch.setattr(window, "WindowSink", Window)
    path = tmp_path / "keyed.pkl"
    arguments = ("--labels", "up, down", "--keys", "--val", 0, "--out", path)
    result = invoke("record", performance / "me.npz", *arguments)
    assert result.exit_code == 0, result.output
    assert read_annotations(path).class_names == ("up", "down")
    said = [line.split()[:2] for line in result.stderr.splitlines() if not line.startswith("note")]
    assert said == [["1", "up"], ["NOW", "up"], ["NOW", "down"], ["2", "spans"]]


def test_keys_of_a_terminal_label_what_is_performed(performance, tmp_path):
    """As a user without a display: the program sees single keys, and the terminal is as before in the end."""
    pty, termios = (
        pytest.importorskip(name, reason="terminals of this kind are Unix's") for name in ("pty", "termios")
    )
    path = tmp_path / "keyed.pkl"
    command = [sys.executable, "-m", "maskclr_edge", "record", str(performance / "me.npz")]
    command += ["--labels", "up,down", "--keys", "--val", "0", "--out", str(path), "--headless"]
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    running = subprocess.Popen(command, stdin=theirs, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    assert running.stderr.readline().startswith("1 up   2 down")  # it is asked for keys
    os.write(ours, b"1")
    assert running.stderr.readline().startswith("NOW   up")
    time.sleep(2)
    os.write(ours, b" ")
    assert running.stderr.readline().startswith("1 spans")
    os.write(ours, b"q")
    running.communicate(timeout=60)
    assert running.returncode == 0 and read_annotations(path).class_names == ("up",)
    assert termios.tcgetattr(theirs) == before


def test_a_second_recording_is_added(performance, tmp_path):
    path = tmp_path / "two.pkl"
    (tmp_path / "more.csv").write_text("0, 3, wave\n4, 7, wave\n")
    spans = performance / "spans.csv"
    assert invoke("record", performance / "me.npz", "--spans", spans, "--out", path).exit_code == 0
    before = read_annotations(path)
    more = ("--spans", tmp_path / "more.csv", "--out", path)
    assert main(["record", str(performance / "me.npz"), *map(str, more)]) == 2  # not overwritten unasked
    assert read_annotations(path).class_names == before.class_names
    assert invoke("record", performance / "me.npz", *more, "--add").exit_code == 0
    after = read_annotations(path)
    assert after.class_names == (*ACTIONS, "wave") and len(after.annotations) > len(before.annotations)


def test_bad_calls_are_answered_in_one_line(performance, tmp_path, capsys):
    film, spans = str(performance / "me.npz"), str(performance / "spans.csv")
    (tmp_path / "late.csv").write_text("500, 503, wave\n")
    out = ["--out", str(tmp_path / "x.pkl")]
    for options, said in (
        (out, "either --spans"),
        ([*out, "--spans", spans, "--labels", "a"], "either --spans"),
        ([*out, "--labels", "a,,b"], "no label"),
        ([*out, "--labels", "a,b", "--keys", "--spans", spans], "either --spans"),
        ([*out, "--keys", "--spans", spans], "--labels"),
        ([*out, "--labels", "a,b", "--keys"], "a terminal to press keys in"),
        ([*out, "--spans", str(tmp_path / "late.csv")], "no clip of wave"),
        (["--out", str(tmp_path / "x.npz"), "--spans", spans], ".pkl"),
        (["--out", str(tmp_path / "none" / "x.pkl"), "--spans", spans], "does not exist"),
    ):
        assert main(["record", film, *options]) == 2, options
        message = capsys.readouterr().err
        assert said in message and message.count("\n") == 1, message
    assert not (tmp_path / "x.pkl").exists()


@pytest.mark.slow
def test_three_exercises_of_a_video_are_learned(shared_footage, tmp_path):
    """The example of docs/own_actions.md."""
    pytest.importorskip("mediapipe", reason="video needs the extra live, which has no wheel for this Python")
    pytest.importorskip("torch", reason="training needs the extra train")
    turns = [
        (0.3, 3.5, 6.3, 8.4),
        (8.7, 13.1, 15.8, 18.0),
        (18.3, 22.6, 25.2, 27.4),
        (27.7, 32.1, 34.8, 37.0),
    ]
    lines = [
        f"{start}, {end}, {label}, all"
        for turn in turns
        for start, end, label in zip(turn, turn[1:], ("lunge", "chest", "open"), strict=False)
    ]
    (tmp_path / "spans.csv").write_text("\n".join(lines))
    film, mine, run = shared_footage / "exercise.avi", tmp_path / "mine.pkl", tmp_path / "run"
    result = invoke("record", film, "--spans", tmp_path / "spans.csv", "--out", mine, "--max-people", 3)
    assert result.exit_code == 0, result.output
    options = ("--pretrained", "bundled", "--out", run, "--json", tmp_path / "train.json")
    assert invoke("train", "own_actions", "--data", mine, *options).exit_code == 0
    assert json.loads((tmp_path / "train.json").read_text())["val"]["top1"] >= 80
