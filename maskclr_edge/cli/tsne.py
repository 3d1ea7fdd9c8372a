"""``maskclr-edge tsne``: a model's features of labelled clips, as points in a plane."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from maskclr_edge.cli.console import console, json_option, progress, table, write_json
from maskclr_edge.errors import ConfigError

if TYPE_CHECKING:
    from maskclr_edge.data import Annotation


@click.command()
@click.argument("checkpoint", default="bundled")
@click.option("--data", required=True, metavar="FILE", help="Annotation file, a pyskl pickle.")
@click.option("--split", required=True, metavar="NAME", help="Split of the file, such as val.")
@click.option("--out", default="tsne.png", show_default=True, metavar="FILE.png", help="Figure to write.")
@click.option("--layout", default="coco17", show_default=True, help="Joint layout of the file.")
@click.option("--classes", type=click.IntRange(2), help="Show the first so many classes; all by default.")
@click.option("--per-class", type=click.IntRange(1), default=40, show_default=True, help="Clips of each.")
@click.option("--corrupt", "corruption", metavar="SPEC", help="Also show the clips under a corruption, such "
              "as joints:6 or noise:0.1.")  # fmt: skip
@click.option("--mask", type=click.Choice(["tm", "agpm"]), help="Masking of the masked pathway: targeted, or "
              "attention-guided probabilistic; as the checkpoint was trained by default.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**31), default=0, show_default=True, help="Of all draws.")
@json_option("numbers of the table")
def command(
    checkpoint: str,
    data: str,
    split: str,
    out: str,
    layout: str,
    classes: int | None,
    per_class: int,
    corruption: str | None,
    mask: str | None,
    seed: int,
    json_to: str | None,
) -> None:
    """Draw the features that CHECKPOINT has of labelled clips, on its standard and its masked pathway.

    The masked pathway sees the clips without joints that the model leans on. All panels share one plane. The
    table says how many clips have their nearest neighbour, in the features themselves, in their own class.

    \b
    Examples:
      maskclr-edge tsne bundled --data penn_action_coco17.pkl --split val
      maskclr-edge tsne run/best.safetensors --data ntu60_hrnet.pkl --split xsub_val --classes 10
      maskclr-edge tsne bundled --data penn_action_coco17.pkl --split val --corrupt joints:6
    """
    from maskclr_edge.checkpoint import read_checkpoint
    from maskclr_edge.data import make_clips, read_annotations
    from maskclr_edge.evaluation import match_classes
    from maskclr_edge.optional import require
    from maskclr_edge.runtime import BUNDLED, bundled_checkpoint
    from maskclr_edge.skeleton import corrupt_clips, parse_corruptions

    for package in ("torch", "sklearn", "matplotlib"):
        require(package)
    from maskclr_edge.model import build_model
    from maskclr_edge.training import tsne

    if not Path(out).absolute().parent.is_dir():
        raise ConfigError(f"cannot write {out}: there is no folder {Path(out).parent}")
    cells = parse_corruptions([corruption]) if corruption else ()
    if len(cells) > 1:
        raise ConfigError(f"{corruption} has {len(cells)} severities; name one, such as {cells[0].spec}")
    path = Path(checkpoint)
    if checkpoint == BUNDLED and not path.exists():
        path = bundled_checkpoint()
    if path.is_dir():
        raise ConfigError(f"{path} is a folder; features need the checkpoint file that it was made of")
    source = read_checkpoint(path)
    known = match_classes(read_annotations(data, layout=layout), source.contract.class_names)
    chosen = _few(known.split(split), classes, per_class)
    model, config = build_model(source), tsne.mask_config(source, mask)
    with progress("reading") as report:
        clips, labels = make_clips(chosen, source.contract, progress=report)
        shown = {"clean": clips}
        for cell in cells:
            shown[cell.spec] = corrupt_clips(clips, cell, seed=seed, absent=source.contract.absent)
        features = {}
        for row, some in shown.items():
            both = tsne.pathway_features(model, some, config, seed=seed, progress=report)
            features[row, "standard pathway"] = both.standard
            features[row, "masked pathway"] = both.masked
        report(0, 0, "t-SNE")
        points = dict(zip(features, tsne.project(list(features.values()), seed=seed), strict=True))
    of_what = "made-up clips" if known.made_up else "clips"
    title = f"{checkpoint} on {known.source}, split {split}: {len(labels)} {of_what}"
    tsne.draw_points(out, points, labels, known.class_names, title=title)
    agreement = {key: tsne.neighbour_agreement(found, labels) for key, found in features.items()}
    rows = [(*key, value) for key, value in agreement.items()]
    screen = console(json_to)
    screen.print(table(title, ("clips", "features", "nearest neighbour of own class %"), rows))
    screen.print(f"{out} is written")
    if json_to:
        entries = [{"clips": row, "features": column, "own_class": value} for row, column, value in rows]
        facts = {"model": checkpoint, "data": known.source, "split": split, "mask": config.msk_type}
        write_json(json_to, {**facts, "count": len(labels), "seed": seed, "figure": out, "views": entries})


def _few(annotations: "list[Annotation]", classes: int | None, per_class: int) -> "list[Annotation]":
    """Of the first ``classes`` labels that occur, the first ``per_class`` recordings each, in file order."""
    labels = sorted({one.label for one in annotations})[:classes]
    left = dict.fromkeys(labels, per_class)
    chosen = []
    for one in annotations:
        if left.get(one.label, 0) > 0:
            left[one.label] -= 1
            chosen.append(one)
    return chosen
