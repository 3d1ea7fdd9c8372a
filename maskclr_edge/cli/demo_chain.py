"""What ``maskclr-edge demo`` does, with nothing printed: the library functions that the commands call."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from maskclr_edge.cli.console import ProgressCallback
from maskclr_edge.errors import ConfigError, MaskclrEdgeError

if TYPE_CHECKING:
    from maskclr_edge.bench.suite import Suite
    from maskclr_edge.checkpoint import Checkpoint
    from maskclr_edge.data import AnnotationSet
    from maskclr_edge.data.recording import Recording
    from maskclr_edge.evaluation import Evaluation
    from maskclr_edge.live.figures import LabelChange, Summary
    from maskclr_edge.runtime import Bundle

ENGINE = "tensorrt-rtx"
CLIPS_PER_CLASS = 6
CALIBRATION_CLIPS = 64
BENCH_SECONDS = 0.4
#: the replay: motions of two seconds by one person each, and two with nobody in view after each
REPLAY_MOTIONS = ("jumping_jacks", "squat", "pushup", "pullup")
REPLAY_FRAMES, PAUSE_FRAMES, REPLAY_FPS = 60, 60, 30.0
WINDOW_SECONDS, ANSWERS_A_SECOND = 2.0, 5.0


@dataclass(frozen=True)
class Chain:
    """Where the demo begins: a checkpoint with a class head, and the folder for what is made of it."""

    out: Path
    file: Path
    checkpoint: "Checkpoint"
    name: str

    @property
    def bundle(self) -> Path:
        """Folder of the bundle that is made."""
        return self.out / "bundle"

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes of the model that there are made-up motions of."""
        from maskclr_edge.data import MADE_UP_CLASSES

        known = self.checkpoint.contract.class_names
        return tuple(name for name in MADE_UP_CLASSES if name in known)


@dataclass
class Exported:
    """A bundle, and why it has no engine where it has none."""

    bundle: "Bundle"
    without_engine: str = ""


@dataclass(frozen=True)
class Score:
    """One runner and precision on the made-up clips; `same` is the share of fp32's answers, in percent."""

    runner: str
    precision: str
    result: "Evaluation"
    same: float = field(default=100.0)


def begin(out: Path, checkpoint: str | None) -> Chain:
    """Read the packaged checkpoint, or another, and make the folder. ConfigError when either does not do."""
    from maskclr_edge.checkpoint import read_checkpoint
    from maskclr_edge.runtime import BUNDLED, bundled_checkpoint

    file = Path(checkpoint) if checkpoint else bundled_checkpoint()
    opened = read_checkpoint(file)
    if opened.config.head != "class":
        raise ConfigError(f"{file}: has an embedding head and knows no classes; the demo needs a class head")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{out}: cannot be made a folder ({error.strerror}); name another with --out"
        ) from error
    return Chain(out, file, opened, checkpoint or BUNDLED)


def export(chain: Chain, report: ProgressCallback) -> Exported:
    """Make the bundle: fp32, int8, both held to the checkpoint; engines where their builder is installed."""
    from maskclr_edge.deploy import export_bundle, extend_bundle
    from maskclr_edge.deploy.calibration_set import made_up_calibration

    clips, info = made_up_calibration(chain.checkpoint.contract, count=CALIBRATION_CLIPS)
    made = Exported(
        export_bundle(
            chain.checkpoint, chain.bundle, precisions=("fp32", "int8"),
            calibration=clips, calibration_info=info,
            storage="auto", name=chain.file.name, progress=report,
        )
    )  # fmt: skip
    try:
        made.bundle = extend_bundle(made.bundle, chain.bundle, engines=(ENGINE,), progress=report)
    except MaskclrEdgeError as error:  # the ONNX files are whole and stay
        made.without_engine = str(error)
    return made


def made_up(chain: Chain) -> "AnnotationSet":
    """MADE-UP clips of the classes that the model knows, written as made-up.pkl too."""
    from maskclr_edge.data import made_up_clips, write_annotations

    count = CLIPS_PER_CLASS * len(chain.classes)
    data = made_up_clips(count, seed=1, classes=chain.classes, split_fractions={"all": 1.0})
    write_annotations(chain.out / "made-up.pkl", data)
    return data


def evaluate_all(chain: Chain, data: "AnnotationSet", report: ProgressCallback) -> list[Score]:
    """The bundle's answers on made-up clips, on every runner here, in every precision."""
    from maskclr_edge.bench.suite import opened, variants
    from maskclr_edge.data import make_clips
    from maskclr_edge.evaluation import evaluate, match_classes

    contract = chain.checkpoint.contract
    known = match_classes(data, contract.class_names)
    clips, labels = make_clips(known.split("all"), contract, progress=report)
    scores: list[Score] = []
    for variant, classifier in opened(variants(str(chain.bundle))):
        if isinstance(classifier, MaskclrEdgeError):
            continue  # the bench, which is next, says why
        result = evaluate(classifier.runner.infer, clips, labels, progress=report)
        answers = result.logits.argmax(axis=1)
        first = scores[0].result.logits.argmax(axis=1) if scores else answers
        scores.append(
            Score(variant.runner, variant.precision, result, 100 * float(np.mean(answers == first)))
        )
    return scores


def bench(chain: Chain, report: ProgressCallback) -> "Suite":
    """A short bench of the bundle, one person at the contract's clip length, written as bench.json too."""
    from maskclr_edge.bench.machine import describe_machine
    from maskclr_edge.bench.results import result_document, write_result
    from maskclr_edge.bench.suite import Plan, run_suite
    from maskclr_edge.bench.timing import Budget

    frames = (chain.checkpoint.contract.frames,)
    plan = Plan((str(chain.bundle),), frames=frames, persons=(1,), budget=Budget(seconds=BENCH_SECONDS))
    machine = describe_machine()
    suite = run_suite(plan, report)
    document = result_document("demo", suite.to_dict(), settings=plan.to_dict(), machine=machine)
    write_result(chain.out / "bench.json", document)
    return suite


def recording(chain: Chain) -> tuple["Recording", tuple[str, ...]]:
    """Some made-up motions, one person after another, and their names; written as made-up.npz too."""
    from maskclr_edge.data import made_up_clips
    from maskclr_edge.data.recording import Recording, write_recording

    classes = [name for name in REPLAY_MOTIONS if name in chain.classes] or chain.classes[:4]
    length = (REPLAY_FRAMES, REPLAY_FRAMES)
    parts = made_up_clips(len(classes), seed=2, classes=classes, frames=length).annotations
    pause = np.zeros((1, PAUSE_FRAMES, *parts[0].keypoints.shape[2:]), np.float32)
    keypoints = np.concatenate([piece for part in parts for piece in (part.keypoints, pause)], axis=1)
    made = Recording(keypoints, parts[0].layout, parts[0].resolution_wh, REPLAY_FPS, "made-up")
    write_recording(chain.out / "made-up.npz", made)
    return made, tuple(classes)


def replay(chain: Chain, made: "Recording", change: Callable[["LabelChange"], None]) -> "Summary":
    """Follow the people in a recording as the live command does; `change` is called when a label changes."""
    from maskclr_edge.live.labeller import LiveSettings
    from maskclr_edge.live.pipeline import run
    from maskclr_edge.live.sources import RecordingSource
    from maskclr_edge.runtime import Classifier

    settings = LiveSettings(window_s=WINDOW_SECONDS, hz=ANSWERS_A_SECOND)
    with Classifier.open(str(chain.bundle)) as classifier:
        return run(RecordingSource(made), classifier, None, settings, change=change)


def fastest(suite: "Suite", runners: tuple[str, ...], precision: str) -> str:
    """The least p50 of the network on some runners, and which one; empty where it was not measured."""
    found = [
        (row.latency.p50_ms, row.runner)
        for row in suite.measurements
        if row.part == "network" and row.precision == precision and row.runner in runners
    ]
    return "{:.2f} ms, {}".format(*min(found)) if found else ""


def files(chain: Chain, bundle: "Bundle", suite: "Suite") -> Iterator[tuple[str, str, int, str, str]]:
    """Everything that was made: file, what it is, its bytes, parity with the checkpoint, its fastest p50."""
    seen = set()
    for item in bundle.artifacts:
        if item.file in seen:
            continue
        seen.add(item.file)
        precision = f" {item.precision}" if item.role == "encoder" else ""
        kind = (
            "ONNX" if item.kind == "onnx" else "engine for " + ", ".join((item.built_for or {}).get("sm", ()))
        )
        parity, p50 = "", ""
        if item.role == "encoder":
            parity = f"{item.parity['max_abs_error']:.1e}" if item.parity else "needs the GPU"
            p50 = fastest(suite, item.runners, item.precision)
        yield f"bundle/{item.file}", f"{item.role}{precision}, {kind}", item.bytes, parity, p50
    others = {
        "made-up.pkl": "made-up annotations",
        "made-up.npz": "made-up recording",
        "bench.json": "bench result",
    }
    for name, what in others.items():
        if (chain.out / name).is_file():
            yield name, what, (chain.out / name).stat().st_size, "", ""
