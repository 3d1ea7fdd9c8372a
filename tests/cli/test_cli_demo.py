"""``maskclr-edge demo`` from beginning to end, on a small random checkpoint."""

import contextlib
import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from maskclr_edge.bench.results import read_result
from maskclr_edge.checkpoint import Checkpoint, write_checkpoint
from maskclr_edge.cli import demo_chain
from maskclr_edge.cli.main import main
from maskclr_edge.data import read_annotations
from maskclr_edge.data.recording import read_recording
from maskclr_edge.optional import available
from maskclr_edge.runtime import Bundle, bundled_bundle


@pytest.fixture(autouse=True, scope="module")
def small_and_plain() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_COLOR", "1")
        patch.setenv("COLUMNS", "120")
        patch.setattr(demo_chain, "BENCH_SECONDS", 0.01)
        patch.setattr(demo_chain, "CLIPS_PER_CLASS", 2)
        patch.setattr(demo_chain, "CALIBRATION_CLIPS", 4)
        # the real builder has its own tests; here it only takes time
        patch.setattr(demo_chain, "ENGINE", "no-such-engine")
        yield


@pytest.fixture(scope="module")
def checkpoint(
    random_checkpoint: Callable[..., Checkpoint], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., str]:
    """Writer of a small checkpoint that knows the classes given."""

    def write(classes: tuple[str, ...] = demo_chain.REPLAY_MOTIONS, **changes: Any) -> str:
        made = random_checkpoint(num_classes=len(classes), **changes)
        made = replace(made, contract=replace(made.contract, class_names=classes, frames=16))
        path = tmp_path_factory.mktemp("checkpoint") / "small.safetensors"
        write_checkpoint(path, made)
        return str(path)

    return write


@pytest.fixture(scope="module")
def done(checkpoint: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder and the output of one run, over what an earlier run left behind."""
    out = tmp_path_factory.mktemp("demo") / "out"
    (out / "bundle").mkdir(parents=True)
    (out / "bundle" / "manifest.json").write_text('{"format": "maskclr-edge-bundle", "version": 1}')
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        assert main(["demo", "--out", str(out), "--checkpoint", checkpoint()]) == 0
    return out, text.getvalue()


def test_the_whole_chain(done: tuple[Path, str]) -> None:
    out, text = done
    assert set(Bundle.open(out / "bundle").precisions("onnxruntime")) == {"fp32", "int8"}
    data = read_annotations(out / "made-up.pkl")
    assert data.made_up
    assert set(data.class_names) == set(demo_chain.REPLAY_MOTIONS)
    assert read_recording(out / "made-up.npz").frames == 120 * len(demo_chain.REPLAY_MOTIONS)
    measured = read_result(out / "bench.json")["results"]["measurements"]
    assert {row["runner"] for row in measured} > {"onnxruntime"}
    assert not [path for path in out.rglob("*") if path.name.startswith(".")]
    assert f"MADE UP: these {2 * len(demo_chain.REPLAY_MOTIONS)} clips" in text
    assert f"{4 * len(demo_chain.REPLAY_MOTIONS)} s of MADE-UP people" in text
    shown = ("fp32 agrees with the checkpoint", "int8 agrees with the checkpoint", "no TensorRT-RTX engine")
    ending = ("What was made", "bundle/encoder.int8.onnx", "What to type next", "maskclr-edge doctor")
    for line in (*shown, *ending):
        assert line in text
    assert all(len(line.rstrip()) <= 120 for line in text.splitlines() if "maskclr-edge" not in line)


def test_what_it_says_to_type_next_works(done: tuple[Path, str]) -> None:
    out, text = done
    lines = [line.split() for line in text.splitlines() if str(out) in line]
    commands = [words[1:] for words in lines if words[0] == "maskclr-edge"]
    assert {words[0] for words in commands} == {"bench", "live", "eval"}
    for words in commands:
        quick = ["--seconds", "0.01", "--frames", "8"] if words[0] == "bench" else []
        assert main([*words, *quick]) == 0, words


def test_classes_without_made_up_motions(
    checkpoint: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = checkpoint(("brush hair", "drink water"))
    assert main(["demo", "--out", str(tmp_path / "demo"), "--checkpoint", path]) == 0
    text = capsys.readouterr().out
    assert text.count("left out: there are no made-up motions") == 2
    assert "What was made" in text


@pytest.mark.parametrize("what", ["missing", "embedding", "file in the way"])
def test_bad_input_is_one_line(
    checkpoint: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    out, path = tmp_path / "demo", checkpoint(head="embed" if what == "embedding" else "class")
    if what == "missing":
        path = str(tmp_path / "none.safetensors")
    if what == "file in the way":
        out.write_text("")
    assert main(["demo", "--out", str(out), "--checkpoint", path]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not (out / "bundle").exists()


def test_it_needs_no_torch(checkpoint: Callable[..., str], tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "for name in ('torch', 'cv2', 'mediapipe'): sys.modules[name] = None\n"
        "from maskclr_edge.cli import demo_chain\n"
        "from maskclr_edge.cli.main import main\n"
        "demo_chain.BENCH_SECONDS, demo_chain.CLIPS_PER_CLASS, demo_chain.ENGINE = 0.01, 1, 'none'\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    argv = [
        sys.executable,
        "-c",
        program,
        "demo",
        "--out",
        str(tmp_path / "demo"),
        "--checkpoint",
        checkpoint(),
    ]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "What was made" in done.stdout


@pytest.mark.full
def test_with_a_real_engine(
    checkpoint: Callable[..., str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not available("tensorrt_rtx_bindings"):
        pytest.skip("needs the extra rtx: its packages exist for x86-64 Linux only")
    monkeypatch.setattr(demo_chain, "ENGINE", "tensorrt-rtx")
    out = tmp_path / "demo"
    assert main(["demo", "--out", str(out), "--checkpoint", checkpoint()]) == 0
    kinds = {(item.kind, item.precision) for item in Bundle.open(out / "bundle").artifacts}
    assert kinds >= {("tensorrt-rtx", "fp32"), ("tensorrt-rtx", "int8")}
    assert "built without a GPU" in capsys.readouterr().out


def test_the_replay_shows_one_person_after_another(checkpoint: Callable[..., str], tmp_path: Path) -> None:
    chain = demo_chain.begin(tmp_path, checkpoint())
    made, motions = demo_chain.recording(chain)
    demo_chain.export(chain, lambda done, total, what: None)
    seen: list[Any] = []
    summary = demo_chain.replay(chain, made, seen.append)
    assert summary.persons == len(motions)
    assert summary.frames == made.frames
    assert summary.changes == seen


def test_the_packaged_model_names_what_is_replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a newcomer sees is right: the last label shown for each person is what they do."""
    chain = demo_chain.begin(tmp_path, None)
    monkeypatch.setattr(demo_chain.Chain, "bundle", bundled_bundle())
    made, motions = demo_chain.recording(chain)
    summary = demo_chain.replay(chain, made, lambda event: None)
    last = {event.person: event.label for event in summary.changes}
    assert list(last.values()) == list(motions) == list(demo_chain.REPLAY_MOTIONS)
