"""``maskclr-edge convert``: an upstream checkpoint becomes one of ours."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from maskclr_edge.cli.console import console, json_option, table, write_json
from maskclr_edge.errors import ConfigError

if TYPE_CHECKING:
    from maskclr_edge.checkpoint import Checkpoint, ModelConfig

MAX_YAML_BYTES = 1 << 20


@click.command()
@click.argument("upstream", metavar="UPSTREAM.bin", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--out", metavar="CHECKPOINT", required=True, type=click.Path(dir_okay=False), help="File to write."
)
@click.option(
    "--config",
    "config_file",
    metavar="YAML",
    type=click.Path(exists=True, dir_okay=False),
    help="Upstream's training config: gives num_heads and qk_scale; the rest must fit the weights.",
)
@click.option(
    "--classes",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="Class names, one a line, in label order; by default those of NTU RGB+D for 60 and 120 classes.",
)
@click.option("--half", is_flag=True, help="Store the matrices in float16: half the size.")
@json_option("summary")
def command(
    upstream: str, out: str, config_file: str | None, classes: str | None, half: bool, json_to: str | None
) -> None:
    """Turn an upstream MaskCLR or MotionBERT action checkpoint into one of ours.

    The result is one safetensors file with the model config, the class names and the way its clips are
    prepared inside; reading it needs no torch. UPSTREAM.bin is read as data: nothing in it is run.

    \b
    Examples:
      maskclr-edge convert best_epoch.bin --out ntu60.safetensors
      maskclr-edge convert best_epoch.bin --out gym.safetensors --config MB_train.yaml --classes gym.txt
    """
    from maskclr_edge.checkpoint import write_checkpoint
    from maskclr_edge.optional import require

    require("torch")
    from maskclr_edge.model.upstream import read_upstream, upstream_contract

    screen = console(json_to)
    config = read_config(Path(config_file)) if config_file else None
    checkpoint = read_upstream(upstream, config=config)
    if classes:
        checkpoint.contract = upstream_contract(checkpoint.config, _read_classes(Path(classes)))
    write_checkpoint(out, checkpoint, dtype="float16" if half else "float32")
    summary = _summary(checkpoint, Path(out))
    screen.print(table(f"{upstream} → {out}", ("what", "value"), _rows(summary)))
    screen.print(f"Next: maskclr-edge export {out} --out bundle", markup=False)
    if json_to:
        write_json(json_to, summary)


def read_config(path: Path) -> "ModelConfig":
    """The model keys of an upstream YAML file."""
    import yaml

    from maskclr_edge.checkpoint import ModelConfig

    try:
        values = yaml.safe_load(_read_text(path))
    except (yaml.YAMLError, ValueError) as error:
        what = str(error).splitlines()[0]
        raise ConfigError(f"{path}: not a YAML file ({what})") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deeply for a config") from error
    try:
        return ModelConfig.from_yaml_dict(values)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _read_classes(path: Path) -> list[str]:
    """Class names, one a line; empty lines are skipped."""
    names = [line.strip() for line in _read_text(path).splitlines() if line.strip()]
    if not names:
        raise ConfigError(f"{path}: holds no class name; write one a line, in label order")
    return names


def _read_text(path: Path) -> str:
    """A small text file. Raises ConfigError for a large one, or one that is no text."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_YAML_BYTES + 1)
        if len(data) > MAX_YAML_BYTES:
            raise ConfigError(f"{path}: more than {MAX_YAML_BYTES} bytes; expected a short text file")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not a text file in UTF-8") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror or error})") from error


def _summary(checkpoint: "Checkpoint", out: Path) -> dict[str, Any]:
    from maskclr_edge.checkpoint import parameter_count

    return {
        "checkpoint": str(out),
        "bytes": out.stat().st_size,
        "parameters": parameter_count(checkpoint.config),
        "config": checkpoint.config.to_dict(),
        "contract": checkpoint.contract.to_dict(),
        "info": checkpoint.info,
    }


def _rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
    config, contract = summary["config"], summary["contract"]
    names = contract["class_names"]
    return [
        ("parameters", f"{summary['parameters'] / 1e6:.1f} M"),
        ("size", f"{summary['bytes'] / 1e6:.1f} MB"),
        ("network", f"depth {config['depth']}, dim_feat {config['dim_feat']}, {config['num_heads']} heads"),
        ("head", f"{config['head']}, {config['num_classes'] or config['hidden_dim']} outputs"),
        ("classes", ", ".join(names[:4]) + (f", ... ({len(names)})" if len(names) > 4 else "")),
        ("clips", f"{contract['frames']} frames, {contract['confidence_order']} confidence order"),
        ("absent persons", contract["absent"]),
    ]
