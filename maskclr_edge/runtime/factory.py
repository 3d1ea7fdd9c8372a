"""From what a user names, a bundle, a checkpoint or the word ``bundled``, to a Runner."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from maskclr_edge.errors import BundleError, ConfigError
from maskclr_edge.optional import available, require
from maskclr_edge.runtime.bundle import MANIFEST, Bundle
from maskclr_edge.runtime.bundled import BUNDLED, bundled_bundle, bundled_checkpoint
from maskclr_edge.runtime.registry import RUNNERS, RunnerEntry, get_runner
from maskclr_edge.runtime.runner import Runner
from maskclr_edge.runtime.tuned import recall

if TYPE_CHECKING:
    from maskclr_edge.checkpoint import Checkpoint

MAX_THREADS = 1024


def open_runner(
    model: "str | Path | Bundle | Checkpoint",
    runner: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    *,
    absent: str | None = None,
) -> Runner:
    """Open a model on a runner.

    ``model`` is a bundle folder, a checkpoint file, the word "bundled", or an open Bundle or Checkpoint.

    ``runner`` "auto": a bundle runs on what ``maskclr-edge tune`` chose for it on this machine, in that
    precision where none is asked for; where it was not tuned, on the first of onnxruntime and openvino that
    it has files for in the asked precision and that is installed. ``details["chosen"]`` of the runner says
    which of the two it was. A checkpoint runs on torch where it is installed, else on
    onnxruntime. A checkpoint asked for on onnxruntime or openvino is exported on the way, which needs onnx.

    ``precision`` "auto": fp32 where the bundle has it for the runner, else the first in the manifest.

    ``threads``: CPU threads of the backend; when None, on ONNX Runtime and OpenVINO one a physical core
    within this process's affinity and quota. ``absent`` "zeros" runs a model trained with projected absent
    persons on zeros (see Runner.use_absent).

    Raises ConfigError (unknown runner, bad threads), BundleError, CheckpointError,
    MissingDependencyError and EngineError.
    """
    if threads is not None and (isinstance(threads, bool) or not 1 <= threads <= MAX_THREADS):
        raise ConfigError(f"threads is {threads!r}, expected a number from 1 to {MAX_THREADS}")
    entry = None if runner == "auto" else get_runner(runner)
    source = load_model(model, entry)
    opened = (
        _open_bundle(source, entry, precision, threads)
        if isinstance(source, Bundle)
        else _open_checkpoint(source, entry, precision, threads)
    )
    opened.use_absent(absent)
    return opened


def load_model(
    model: "str | Path | Bundle | Checkpoint", entry: RunnerEntry | None = None
) -> "Bundle | Checkpoint":
    """The bundle or checkpoint that was named. Every file of a bundle is verified, also those not read."""
    from maskclr_edge.checkpoint import read_checkpoint

    if not isinstance(model, str | Path):
        return model
    if str(model) == BUNDLED and not Path(BUNDLED).exists():
        if entry is not None and entry.takes == "checkpoint":
            return read_checkpoint(bundled_checkpoint())
        return Bundle.open(bundled_bundle(), verify=False)
    path = Path(model)
    if path.is_dir() or path.name == MANIFEST:
        return Bundle.open(path.parent if path.name == MANIFEST else path)
    if not path.exists():
        raise BundleError(
            f"{path}: there is no such bundle or checkpoint; give a bundle folder, a checkpoint file, "
            f"or the word {BUNDLED}"
        )
    return read_checkpoint(path)


def _open_bundle(bundle: Bundle, entry: RunnerEntry | None, precision: str, threads: int | None) -> Runner:
    chosen = None
    if entry is None:
        entry, precision, chosen = _automatic(bundle, precision)
    if entry.takes == "checkpoint":
        raise BundleError(
            f"{bundle.path}: a bundle holds nothing for runner {entry.name}; give it the checkpoint that the "
            f"bundle was made from ({bundle.checkpoint.get('name', 'unnamed')})"
        )
    kind = entry.load()
    if precision == "auto":
        has = bundle.precisions(entry.name)
        precision = "fp32" if "fp32" in has or not has else has[0]
    opened = kind.open(bundle, precision, threads)
    if chosen:
        opened.details["chosen"] = chosen
    return opened


def _automatic(bundle: Bundle, precision: str) -> tuple[RunnerEntry, str, str]:
    """The runner and precision for "auto", and why, in one line."""
    found, why_not = recall(bundle)
    if found and (row := found.choose(precision)):
        return get_runner(row.runner), row.precision, found.why(row)
    if found:
        why_not = f"tuned, and nothing {'agrees with fp32' if precision == 'auto' else f'in {precision}'}"
    entry = _first_that_runs(bundle, precision)
    return entry, precision, f"{why_not}: the first runner that is installed ({entry.name})"


def _first_that_runs(bundle: Bundle, precision: str) -> RunnerEntry:
    reasons = []
    for entry in RUNNERS.values():
        if entry.takes != "bundle" or not (has := bundle.precisions(entry.name)):
            continue
        if precision != "auto" and precision not in has:
            reasons.append(f"{entry.name} has {', '.join(has)}")
        elif reason := entry.why_not():
            reasons.append(f"{entry.name}: {reason}")
        else:
            return entry
    asked = "" if precision == "auto" else f" in {precision}"
    why = "; ".join(reasons) or "it has no encoder and head"
    raise BundleError(f"{bundle.path}: nothing here can run it{asked} ({why})")


def _open_checkpoint(
    checkpoint: "Checkpoint", entry: RunnerEntry | None, precision: str, threads: int | None
) -> Runner:
    if entry is None:
        entry = RUNNERS["torch" if available("torch") and precision in ("auto", "fp32") else "onnxruntime"]
    if entry.gpu:
        raise ConfigError(
            f"runner {entry.name} runs engines and a checkpoint has none; make a bundle with some first: "
            f"maskclr-edge export CHECKPOINT --engine {entry.name} --out BUNDLE"
        )
    kind = entry.load()
    require(entry.package)
    precision = "fp32" if precision == "auto" else precision
    if entry.takes == "checkpoint":
        return kind.open(checkpoint, precision, threads)
    if precision != "fp32":
        raise ConfigError(
            f"a checkpoint runs in fp32 and {precision} was asked for; make a bundle first: "
            f"maskclr-edge export CHECKPOINT --precision {precision} --out BUNDLE"
        )
    require("onnx")
    from maskclr_edge.deploy import export_bundle

    with tempfile.TemporaryDirectory(prefix="maskclr-edge-") as folder:
        bundle = export_bundle(checkpoint, Path(folder) / "bundle", precisions=("fp32",), verify="corners")
        return kind.open(bundle, precision, threads)
