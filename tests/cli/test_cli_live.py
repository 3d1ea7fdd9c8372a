"""``maskclr-edge live`` as a user types it: recordings, video, pictures, and what it says to bad ones."""

import json
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from maskclr_edge.cli.main import cli, main
from maskclr_edge.data import made_up_clips
from maskclr_edge.data.recording import Recording, write_recording


@pytest.fixture(scope="module")
def jumps(tmp_path_factory):
    """Six seconds of one made-up person doing jumping jacks."""
    clip = made_up_clips(1, seed=4, frames=(180, 180), classes=("jumping_jacks",)).annotations[0]
    path = tmp_path_factory.mktemp("live") / "jumps.npz"
    write_recording(path, Recording(clip.keypoints, clip.layout, clip.resolution_wh, 30.0, "jumps"))
    return path


def invoke(*arguments):
    return CliRunner().invoke(cli, ["live", *map(str, arguments)], catch_exceptions=False)


def test_a_recording_is_labelled_as_it_plays(jumps, tmp_path):
    log = tmp_path / "events.jsonl"
    result = invoke(jumps, "--log", log)
    assert result.exit_code == 0, result.output
    assert "person 1  jumping_jacks" in result.output and "180 frames (6.0 s)" in result.output
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert 0.5 < events[0]["time_s"] < 3  # a first answer, which may be another, comes from part of a window
    assert events[-1]["label"] == events[-1]["top"][0][0] == "jumping_jacks"
    again = tmp_path / "again.jsonl"
    invoke(jumps, "--log", again)
    assert again.read_text() == log.read_text()  # a file gives the same answers each time


def test_json_alone_on_stdout(jumps):
    facts = json.loads(invoke(jumps, "--json", "-").stdout)
    assert facts["frames"] == 180 and facts["persons"] == 1
    assert facts["changes"][-1]["label"] == "jumping_jacks" and "classify" in facts["stages_ms"]


@pytest.mark.parametrize("suffix", ["webm", "mp4"])
def test_a_recording_is_drawn_into_a_video(jumps, tmp_path, suffix):
    cv2 = pytest.importorskip("cv2", reason="drawing needs the extra live")
    video = tmp_path / f"out.{suffix}"
    assert invoke(jumps, "--record", video).exit_code == 0
    capture = cv2.VideoCapture(str(video))
    frames = []
    while True:
        read, image = capture.read()
        if not read:
            break
        frames.append(image)
    assert len(frames) == 180 and frames[0].shape == (480, 640, 3)
    assert frames[90].max() > 150 and np.abs(frames[90].astype(int) - frames[100]).max() > 50  # it moves
    assert [path.name for path in tmp_path.iterdir()] == [video.name]


def test_who_stands_still_is_idle_though_joints_tremble_and_a_slow_action_is_not(tmp_path):
    squats = made_up_clips(1, seed=4, frames=(60, 60), classes=("squat",)).annotations[0]
    height = np.ptp(squats.keypoints[0, 0, :, 1])
    slow = np.linspace(0, 59, 180)  # two seconds of squats, in six
    acting = np.stack([squats.keypoints[:, int(at)] for at in slow], axis=1)
    standing = np.repeat(squats.keypoints[:, :1], 180, axis=1)
    rng = np.random.default_rng(0)
    for name, keypoints in (("standing", standing), ("acting", acting)):
        keypoints = keypoints.copy()
        keypoints[..., :2] += rng.normal(0, 0.01 * height, keypoints[..., :2].shape)  # as estimators do
        path = tmp_path / f"{name}.npz"
        write_recording(path, Recording(keypoints, squats.layout, squats.resolution_wh, 30.0, name))
        facts = json.loads(invoke(path, "--json", "-").stdout)
        labels = [change["label"] for change in facts["changes"]]
        assert labels[-1:] == ["idle"] if name == "standing" else "idle" not in labels, (name, labels)


def test_two_people_are_two_labels(tmp_path):
    left, right = (
        made_up_clips(1, seed=5, frames=(150, 150), classes=(name,)).annotations[0].keypoints.copy()
        for name in ("pullup", "jumping_jacks")
    )
    right[..., 0] += 640 * (right[..., 2] > 0)
    path = tmp_path / "two.npz"
    write_recording(path, Recording(np.concatenate((left, right)), "coco17", (1280, 480), 30.0, "two"))
    facts = json.loads(invoke(path, "--json", "-").stdout)
    assert facts["persons"] == 2
    assert {change["label"] for change in facts["changes"]} >= {"pullup", "jumping_jacks"}


def test_real_video_and_real_pictures(shared_footage, tmp_path):
    pytest.importorskip("mediapipe", reason="video needs the extra live, which has no wheel for this Python")
    cv2 = pytest.importorskip("cv2")
    short = tmp_path / "short.avi"
    capture = cv2.VideoCapture(str(shared_footage / "exercise.avi"))
    writer = cv2.VideoWriter(str(short), cv2.VideoWriter_fourcc(*"MJPG"), 10, (384, 288))
    for _ in range(25):
        writer.write(capture.read()[1])
    writer.release()
    facts = json.loads(invoke(short, "--record", tmp_path / "seen.webm", "--json", "-").stdout)
    assert facts["frames"] == 25 and facts["persons"] >= 2 and facts["windows"] > 5
    assert facts["source_s"] == pytest.approx(2.4, abs=0.05)
    assert set(facts["stages_ms"]) == {"pose", "track", "classify", "show"}
    folder = tmp_path / "pictures"
    folder.mkdir()
    for picture in sorted((shared_footage / "apple").iterdir())[:6]:
        (folder / picture.name).write_bytes(picture.read_bytes())
    facts = json.loads(invoke(folder, "--json", "-").stdout)
    assert facts["frames"] == 6 and facts["persons"] == 2


def test_a_file_in_real_time_says_how_old_and_how_many_were_dropped(tmp_path):
    clip = made_up_clips(1, seed=4, frames=(45, 45), classes=("jumping_jacks",)).annotations[0]
    path = tmp_path / "short.npz"
    write_recording(path, Recording(clip.keypoints, clip.layout, clip.resolution_wh, 30.0, "short"))
    facts = json.loads(invoke(path, "--realtime", "--json", "-").stdout)
    assert facts["realtime"] and facts["work_s"] >= 44 / 30
    assert facts["frames"] + facts["dropped"] == 45 and facts["age_ms"]["p99"] >= facts["age_ms"]["p50"] > 0


def test_an_annotation_file_asks_which_recording(shared_data):
    path = shared_data / "sbu_coco17.pkl"
    result = CliRunner().invoke(cli, ["live", str(path)])
    assert "choose one" in str(result.exception)
    name = str(result.exception).rpartition(" ")[2]
    assert invoke(path, "--name", name).exit_code == 0


def test_bad_sources_are_answered_in_one_line(tmp_path, monkeypatch, capsys):
    pytest.importorskip("cv2", reason="video needs the extra live")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    (tmp_path / "folder").mkdir()
    (tmp_path / "bad.json").write_text('{"keypoints": [[[1, 2, 3]]], "resolution_wh": [640, 480]}')
    cases = {
        "absent.mp4": "no such file",
        "empty.mp4": "empty",
        "noise.mp4": "not a video",
        "folder": "no images",
        "bad.json": "layout",
        "63": "camera",
    }
    for source, said in cases.items():
        assert main(["live", source]) == 2, source
        message = capsys.readouterr().err
        assert said in message and message.count("\n") == 1, message


def test_bad_options_are_answered_in_one_line(jumps, tmp_path, capsys):
    pytest.importorskip("cv2", reason="drawing needs the extra live")
    for options, said in (
        (["--record", str(tmp_path / "out.gif")], ".webm"),
        (["--record", str(tmp_path / "none" / "out.webm")], "does not exist"),
        (["--model", str(tmp_path / "none")], "none"),
        (["--resolution", "wide"], "WIDTHxHEIGHT"),
    ):
        assert main(["live", str(jumps), *options]) == 2
        message = capsys.readouterr().err
        assert said in message and message.count("\n") == 1


def test_keypoints_of_another_program_come_as_lines_on_standard_input(jumps):
    recording = np.load(jumps)
    lines = [
        json.dumps({"time_s": index / 30, "people": [person.tolist()]})
        for index, person in enumerate(recording["keypoints"][0])
    ]
    command = [sys.executable, "-m", "maskclr_edge", "live", "-", "--layout", "coco17"]
    command += ["--resolution", "640x480", "--json", "-"]
    piped = subprocess.run(command, input="\n".join(lines), capture_output=True, text=True)
    facts = json.loads(piped.stdout)
    assert (
        piped.returncode == 0 and facts["frames"] == 180 and facts["changes"][-1]["label"] == "jumping_jacks"
    )
    nothing = subprocess.run(command, input="", capture_output=True, text=True)
    assert nothing.returncode == 2 and nothing.stderr.count("\n") == 1 and "no line came" in nothing.stderr
