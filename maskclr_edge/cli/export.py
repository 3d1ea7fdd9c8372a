"""``maskclr-edge export``: a checkpoint becomes a bundle that was checked against it."""

import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from maskclr_edge.cli import export_report
from maskclr_edge.cli.calibrate import calibration_for, is_table, warn_of_gaps
from maskclr_edge.cli.console import json_option, messages, progress, write_json
from maskclr_edge.cli.engine_options import EngineChoices, engine_options
from maskclr_edge.cli.lists import word_list
from maskclr_edge.errors import ConfigError

if TYPE_CHECKING:
    from maskclr_edge.checkpoint import Checkpoint
    from maskclr_edge.deploy.targets import Plan
    from maskclr_edge.runtime.bundle import Bundle

# what a PyTorch file starts with: a zip archive, or a pickle
_TORCH_FILES = (b"PK\x03\x04", b"\x80")


class _WithTargets(click.Command):
    """Lists the targets there are at the end of its help."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from maskclr_edge.deploy.targets import find_target, target_names

        with formatter.section("Targets"):
            formatter.write_dl([(name, find_target(name).what) for name in target_names()])


@click.command(cls=_WithTargets)
@click.argument("model", default="bundled")
@click.option(
    "--out", required=True, metavar="BUNDLE", help="Folder to write; an old bundle there is replaced."
)
@click.option("--config", metavar="YAML", help="Network of an upstream checkpoint, in upstream's YAML keys.")
@click.option("--target", "targets", multiple=True, metavar="NAME|FILE", help="Device to export for, a name "
              "below or a YAML file; may be repeated. Other options may narrow it.")  # fmt: skip
@click.option(
    "--precision",
    metavar="LIST",
    help="Some of fp32,fp16,bf16,int8,mixed,fp8; fp32 by default, all that a bundle has.",
)
@engine_options
@click.option("--calibration", metavar="FILE",
              help="Calibrates int8, mixed, fp8: an annotation file, or a scale table (.json).")  # fmt: skip
@click.option("--split", metavar="NAME", help="Its split: one that the model was trained on, such as train.")
@click.option("--layout", default="coco17", show_default=True, help="Joint layout of the annotation file.")
@click.option("--clips", type=click.IntRange(1, 100_000), default=128, show_default=True,
              help="Clips to calibrate on, of every class in turn.")  # fmt: skip
@click.option("--method", type=click.Choice(["minmax", "entropy", "percentile", "mse"]), default="minmax",
              show_default=True, help="How calibration turns values into ranges.")  # fmt: skip
@click.option("--keep", multiple=True, metavar="MODULE", help="Leave a module unquantised, such as "
              " backbone.pre_logits.fc; may be repeated.")  # fmt: skip
@click.option("--smooth", type=click.FloatRange(0, 1), metavar="STRENGTH", help="Move outliers of "
              "activations into weights before quantising, such as 0.5.")  # fmt: skip
@click.option("--max-drop", type=click.FloatRange(0, 100), metavar="POINTS", help="Quantise only what "
              "keeps top-1 within so many points, 95 % sure, by clips that calibration left.")  # fmt: skip
@click.option("--storage", type=click.Choice(["auto", "float32", "float16"]), default="auto",
              show_default=True, help="Weights on disk; auto halves them where nothing is lost.")  # fmt: skip
@click.option("--verify", type=click.Choice(["corners", "full"]), default="corners", show_default=True,
              help="Shapes to compare with the checkpoint on: six, or the whole grid.")  # fmt: skip
@json_option("result")
def command(
    model: str,
    out: str,
    config: str | None,
    targets: tuple[str, ...],
    precision: str | None,
    engine_choices: EngineChoices,
    calibration: str | None,
    split: str | None,
    layout: str,
    clips: int,
    method: str,
    keep: tuple[str, ...],
    smooth: float | None,
    max_drop: float | None,
    storage: str,
    verify: str,
    json_to: str | None,
) -> None:
    """Make a bundle of MODEL: ONNX, INT8, engines, each checked against the checkpoint.

    MODEL is a checkpoint, an upstream .bin or .pth (needs torch), or the word "bundled" (the default). Of a
    bundle the ONNX files are kept and engines are added. A target whose engine cannot be built here gets its
    ONNX, and the command that finishes it on the device is printed. When a graph does not agree with the
    checkpoint, or anything else goes wrong, no bundle is left behind and an old one stays.

    \b
    Examples:
      maskclr-edge export --out bundle
      maskclr-edge export best.safetensors --out bundle --precision int8 --calibration penn.pkl --split train
      maskclr-edge export best.safetensors --out bundle --target rtx-40 --calibration table.json
      maskclr-edge export upstream.bin --config MB_ft_NTU60_xsub.yaml --out bundle --verify full
      maskclr-edge export bundle --out bundle --engine tensorrt-rtx --sm 86,89,120
      maskclr-edge export bundle --out bundle --engine tensorrt --frames 1:24:32 --frames 33:81:243
    """
    from maskclr_edge.deploy import export_bundle, extend_bundle
    from maskclr_edge.deploy.precision import get_precision

    start = time.perf_counter()
    if is_table(calibration):
        _check_table_options()
    plan, words = _plan(targets, precision, engine_choices)
    info: dict[str, Any] | None = None
    with progress("export") as report:
        source = _open(model, config)
        if _is_bundle(source):
            if not (plan.engines or targets):
                raise ConfigError(
                    f"{model} is a bundle already; name what to add, e.g. --engine tensorrt-rtx"
                )
            bundle = extend_bundle(
                source,
                out,
                engines=plan.engines,
                precisions=plan.precisions if precision else _taken(plan.takes, source),
                progress=report,
            )
        else:
            chosen = plan.precisions or ("fp32",)
            data, held_out = None, None
            if any(get_precision(name).quantised for name in chosen):
                data, info, held_out = calibration_for(
                    source.contract, calibration, split, layout, clips, report, max_drop=max_drop
                )
            elif calibration or keep or max_drop is not None or smooth is not None:
                raise ConfigError(
                    "--calibration, --keep, --smooth and --max-drop are for int8, mixed and fp8, and the "
                    f"precision is {', '.join(chosen)}; add --precision fp32,int8"
                )
            bundle = export_bundle(
                source,
                out,
                precisions=chosen,
                engines=plan.engines,
                calibration=data,
                calibration_info=info,
                calibration_method=method,
                skip=keep,
                smooth=smooth,
                max_drop=max_drop,
                held_out=held_out,
                storage=storage,
                verify=verify,
                name=Path(model).name,
                progress=report,
            )
    seconds = time.perf_counter() - start
    left = _left(plan, words, out)
    export_report.show(bundle, out, seconds, json_to, made=not _is_bundle(source))
    warn_of_gaps((info or {}).get("gaps", ()))
    for name, line in left.items():
        messages().print(f"{name}: to finish on the device, {line}", markup=False, soft_wrap=True)
    if json_to:
        write_json(json_to, export_report.facts(bundle, seconds) | ({"finish": left} if targets else {}))


def _plan(
    targets: Sequence[str], precision: str | None, choices: EngineChoices
) -> tuple["Plan", dict[str, str]]:
    """What to make: what the options say, within what the targets take; and the targets' words by name."""
    from maskclr_edge.deploy.targets import Plan, find_target, plan

    precisions = word_list(precision or "")
    if not targets:
        return Plan(precisions, precisions, choices.settings()), {}
    found = {word: find_target(word) for word in dict.fromkeys(targets)}
    made = plan(
        list(found.values()),
        precisions=precisions,
        engines=choices.kinds,
        sms=choices.sms,
        profiles=choices.profiles(),
        options=choices.build_options(),
        cache=choices.cache,
    )
    return made, {target.name: word for word, target in found.items()}


def _left(plan: "Plan", words: dict[str, str], out: str) -> dict[str, str]:
    """Target -> the command that finishes it on the device."""
    from maskclr_edge.deploy.targets import finish_command

    return {one.name: shlex.join(finish_command(one, words[one.name], out)) for one in plan.left}


def _taken(precisions: Sequence[str], bundle: "Bundle") -> tuple[str, ...]:
    """Those precisions that a bundle has ONNX of; all of them where it has none, for the error to name."""
    have = {item.precision for item in bundle.artifacts if item.kind == "onnx" and item.role == "encoder"}
    return tuple(name for name in precisions if name in have) or tuple(precisions)


def _check_table_options() -> None:
    """Refuse options that choose clips or what is done with them, which a scale table has behind it."""
    context = click.get_current_context()
    for option in ("split", "clips", "method", "layout", "smooth"):
        if context.get_parameter_source(option) is click.core.ParameterSource.COMMANDLINE:
            raise ConfigError(f"--{option} is for an annotation file; a scale table was made with its own")


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
