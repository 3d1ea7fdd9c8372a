"""``maskclr-edge export``: a checkpoint becomes a bundle that was checked against it."""

import hashlib
import re
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from maskclr_edge.cli.console import (
    ProgressCallback,
    console,
    json_option,
    messages,
    progress,
    table,
    write_json,
)
from maskclr_edge.errors import ConfigError

if TYPE_CHECKING:
    from maskclr_edge.checkpoint import Checkpoint
    from maskclr_edge.runtime.bundle import Artifact, Bundle
    from maskclr_edge.skeleton import SkeletonContract

# what a PyTorch file starts with: a zip archive, or a pickle
_TORCH_FILES = (b"PK\x03\x04", b"\x80")


@click.command()
@click.argument("model", default="bundled")
@click.option(
    "--out", required=True, metavar="BUNDLE", help="Folder to write; an old bundle there is replaced."
)
@click.option("--config", metavar="YAML", help="Network of an upstream checkpoint, in upstream's YAML keys.")
@click.option(
    "--precision", metavar="LIST", help="fp32, int8 or both; fp32 by default, all that a bundle has."
)
@click.option("--engine", "engines", multiple=True, metavar="KIND", help="Also build engines: tensorrt-rtx.")
@click.option(
    "--sm", default="86,89,120", show_default=True, help="Compute capabilities to build engines for."
)
@click.option("--calibration", metavar="FILE", help="Annotation file to calibrate int8 on.")
@click.option("--split", metavar="NAME", help="Its split: one that the model was trained on, such as train.")
@click.option("--layout", default="coco17", show_default=True, help="Joint layout of the annotation file.")
@click.option("--clips", type=click.IntRange(1, 100_000), default=128, show_default=True,
              help="Clips to calibrate on, of every class in turn.")  # fmt: skip
@click.option("--method", type=click.Choice(["minmax", "percentile", "mse"]), default="minmax",
              show_default=True, help="How calibration turns values into ranges.")  # fmt: skip
@click.option("--keep", multiple=True, metavar="MODULE", help="Leave a module in floating point in int8, "
              "such as backbone.pre_logits.fc; may be repeated.")  # fmt: skip
@click.option("--storage", type=click.Choice(["auto", "float32", "float16"]), default="auto",
              show_default=True, help="Weights on disk; auto halves them where nothing is lost.")  # fmt: skip
@click.option("--verify", type=click.Choice(["corners", "full"]), default="corners", show_default=True,
              help="Shapes to compare with the checkpoint on: six, or the whole grid.")  # fmt: skip
@json_option("result")
def command(
    model: str,
    out: str,
    config: str | None,
    precision: str | None,
    engines: tuple[str, ...],
    sm: str,
    calibration: str | None,
    split: str | None,
    layout: str,
    clips: int,
    method: str,
    keep: tuple[str, ...],
    storage: str,
    verify: str,
    json_to: str | None,
) -> None:
    """Make a bundle of MODEL: ONNX, INT8, engines, each checked against the checkpoint.

    MODEL is a checkpoint, an upstream .bin or .pth (needs torch), or the word "bundled" (the default). Of a
    bundle the ONNX files are kept and engines are added. When a graph does not agree with the checkpoint, or
    anything else goes wrong, no bundle is left behind and an old one stays.

    \b
    Examples:
      maskclr-edge export --out bundle
      maskclr-edge export best.safetensors --out bundle --precision int8 --calibration penn.pkl --split train
      maskclr-edge export upstream.bin --config MB_ft_NTU60_xsub.yaml --out bundle --verify full
      maskclr-edge export bundle --out bundle --engine tensorrt-rtx --sm 86,89,120
    """
    from maskclr_edge.deploy import export_bundle, extend_bundle

    start = time.perf_counter()
    precisions, sms = _words(precision or ""), _compute_capabilities(sm)
    kinds = tuple(kind for words in engines for kind in _words(words))
    with progress("export") as report:
        source = _open(model, config)
        if _is_bundle(source):
            if not kinds:
                raise ConfigError(
                    f"{model} is a bundle already; name what to add, e.g. --engine tensorrt-rtx"
                )
            bundle = extend_bundle(
                source, out, engines=kinds, precisions=precisions, sms=sms, progress=report
            )
        else:
            chosen = precisions or ("fp32",)
            data, info = None, None
            if "int8" in chosen:
                data, info = _calibration(source.contract, calibration, split, layout, clips, report)
            bundle = export_bundle(
                source,
                out,
                precisions=chosen,
                engines=kinds,
                sms=sms,
                calibration=data,
                calibration_info=info,
                calibration_method=method,
                skip=keep,
                storage=storage,
                verify=verify,
                name=Path(model).name,
                progress=report,
            )
    seconds = time.perf_counter() - start
    _show(bundle, out, seconds, json_to)
    if json_to:
        write_json(json_to, _facts(bundle, seconds))


def _open(model: str, config: str | None) -> Any:
    """A Bundle for a folder, else a Checkpoint of ours or of upstream."""
    from maskclr_edge.checkpoint import read_checkpoint
    from maskclr_edge.runtime.bundle import Bundle
    from maskclr_edge.runtime.bundled import BUNDLED, bundled_checkpoint

    path = bundled_checkpoint() if model == BUNDLED else Path(model)
    if path.is_dir():
        return Bundle.open(path)
    if _starts_like_torch(path):
        return _read_upstream(path, config)
    if config:
        raise ConfigError(f"{model} brings its own config; leave --config out")
    return read_checkpoint(path)


def _is_bundle(source: Any) -> bool:
    return hasattr(source, "artifacts")


def _starts_like_torch(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(4).startswith(_TORCH_FILES)
    except OSError:
        return False  # whoever reads it next says why


def _read_upstream(path: Path, config: str | None) -> "Checkpoint":
    from maskclr_edge.cli.convert import read_config
    from maskclr_edge.optional import require

    require("torch")
    from maskclr_edge.model import read_upstream

    return read_upstream(path, config=read_config(Path(config)) if config else None)


def _calibration(
    contract: "SkeletonContract",
    file: str | None,
    split: str | None,
    layout: str,
    count: int,
    report: ProgressCallback,
) -> tuple[Any, dict[str, Any]]:
    """Clips to calibrate on, and what they are."""
    from maskclr_edge.data import read_annotations
    from maskclr_edge.deploy.calibration_set import calibration_clips, made_up_calibration

    if file is None:
        messages().print(
            "[bold yellow]warning:[/] int8 is calibrated on MADE-UP motions, because no --calibration was "
            "given: fine for a try, but its accuracy on real skeletons is unknown",
            soft_wrap=True,
        )
        return made_up_calibration(contract, count=count)
    data = read_annotations(file, layout=layout)
    if split is None:
        raise ConfigError(f"--calibration needs a --split of {file}; it has {', '.join(data.splits)}")
    clips, info = calibration_clips(data, split, contract, count=count, progress=report)
    return clips, info | {"sha256": _sha256(Path(file))}


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _words(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for word in re.split(r"[,\s]+", text) if word))


def _compute_capabilities(text: str) -> tuple[int, ...]:
    """Whole numbers from ``86,89`` or ``SM86 8.9``."""
    found = []
    for word in _words(text):
        digits = word.upper().removeprefix("SM_").removeprefix("SM").replace(".", "")
        if not digits.isdecimal() or len(digits) > 4:
            raise ConfigError(f"--sm is {text!r}; expected compute capabilities such as 86,89,120")
        found.append(int(digits))
    return tuple(dict.fromkeys(found))


def _show(bundle: "Bundle", out: str, seconds: float, json_to: str | None) -> None:
    files: dict[str, list[Artifact]] = {}
    for item in bundle.artifacts:
        files.setdefault(item.file, []).append(item)  # precisions may share a head
    rows = [
        (
            file,
            ", ".join(item.precision for item in items),
            _size(items[0].bytes),
            _read_back(items[0]),
            _parity(items[0]),
            _for(items[0]),
        )
        for file, items in files.items()
    ]
    columns = ("file", "precision", "size", "read back", "largest error", "runs on")
    made = f"made in {seconds:.1f} s"
    note = f"errors are of logits, against the checkpoint; {made}. Try: maskclr-edge bench {shlex.quote(out)}"
    console(json_to).print(table(f"Bundle {out}", columns, rows, note=note))


def _size(size: int) -> str:
    return f"{size / 1e6:.2f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"


def _read_back(item: "Artifact") -> str:
    """The share of matrix products in each type, as found in the file."""
    shares = item.read_back.get("gemm_flops") or item.read_back.get("gemm_weights") or {}
    kinds = {kind: share for kind, share in shares.items() if kind != "frames"}
    return ", ".join(f"{kind} {100 * share:.0f} %" for kind, share in sorted(kinds.items(), key=_falling))


def _falling(pair: tuple[str, float]) -> float:
    return -pair[1]


def _parity(item: "Artifact") -> str:
    if item.role != "encoder":
        return ""
    if item.parity is None:
        return "needs the GPU"
    error, largest = item.parity["max_abs_error"], item.parity["max_abs_logit"]
    return f"{error:.1e} of {largest:.3g}"


def _for(item: "Artifact") -> str:
    built_for: Sequence[str] = (item.built_for or {}).get("sm", ())
    return ", ".join(item.runners) + (f" ({', '.join(built_for)})" if built_for else "")


def _facts(bundle: "Bundle", seconds: float) -> dict[str, Any]:
    return {
        "bundle": bundle.path,
        "seconds": round(seconds, 2),
        "artifacts": list(bundle.artifacts),
        "parity": dict(bundle.parity),
        "built_by": dict(bundle.built_by),
        "checkpoint": {key: bundle.checkpoint.get(key) for key in ("name", "sha256")},
    }
