"""What ``maskclr-edge live`` shows, and where: pictures, logs and recordings as a user gets them."""

import json

import pytest
from click.testing import CliRunner

from maskclr_edge.cli.main import cli
from maskclr_edge.data import made_up_clips
from maskclr_edge.data.recording import Recording, write_recording


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
