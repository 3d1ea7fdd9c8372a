"""``maskclr-edge inspect``: what is in a bundle, an ONNX file, a checkpoint or an engine."""

from collections.abc import Iterator, Mapping
from typing import Any

import click
from rich.table import Table

from maskclr_edge.cli.console import console, file_size, json_option, table, write_json
from maskclr_edge.cli.shares import product_words
from maskclr_edge.errors import ConfigError

_MOST_LAYERS = 40
#: options of a build that say nothing
_DEFAULTS = (None, False, "none", "fixed")


@click.command()
@click.argument("source", metavar="BUNDLE|FILE", default="bundled")
@click.option("--layers", is_flag=True, help="Also the layers of an engine, where the GPU that it is for is.")
@json_option("facts")
def command(source: str, layers: bool, json_to: str | None) -> None:
    """Say what a bundle, an ONNX file, a checkpoint or an engine holds, who made it, and for what.

    Files are told by their content. Nothing of them is run; --layers loads an engine into TensorRT.

    \b
    Examples:
      maskclr-edge inspect bundle
      maskclr-edge inspect bundle/encoder.int8.onnx
      maskclr-edge inspect best.safetensors --json -
      maskclr-edge inspect bundle/encoder.fp16.trt.engine --layers
    """
    from maskclr_edge.deploy.inspection import engine_layers, inspect
    from maskclr_edge.runtime.bundled import BUNDLED, bundled_bundle

    path = str(bundled_bundle()) if source == BUNDLED else source
    facts = inspect(path)
    if layers:
        if facts["kind"] != "engine":
            raise ConfigError(f"{source} is a {facts['kind']}; --layers is for an engine file, such as "
                              "bundle/encoder.fp16.trt.engine")  # fmt: skip
        facts["engine"] = engine_layers(path)
    screen = console(json_to)
    title = f"{facts['kind']} {source}"
    screen.print(table(title, ("what", "found"), _VIEWS[facts["kind"]](facts)))
    if facts["kind"] == "bundle":
        columns = ("file", "what", "size", "products", "takes", "made for", "runs on")
        screen.print(table("Files", columns, _files(facts["artifacts"])))
    if layers:
        screen.print(_layers(facts["engine"]))
    if json_to:
        write_json(json_to, facts)


def _bundle(facts: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    versions = ((name, version) for name, version in facts["built_by"].items() if isinstance(version, str))
    made = ", ".join(f"{name} {version}" for name, version in versions)
    checkpoint = facts["checkpoint"]
    yield "made", f"{facts['created']}, with {made}"
    digest = str(checkpoint.get("sha256"))[:12]
    yield "checkpoint", f"{checkpoint.get('name') or 'unnamed'}, SHA-256 {digest}..."
    yield from _model(facts)
    for runner, precisions in facts["runners"].items():
        yield f"runs on {runner}", ", ".join(precisions)
    yield "size", file_size(facts["bytes"])
    if facts["unlisted"]:
        yield "also there", ", ".join(facts["unlisted"])


def _checkpoint(facts: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    yield "parameters", f"{facts['parameters'] / 1e6:.2f} M"
    yield from _model(facts)
    for name, value in facts["info"].items():
        if isinstance(value, str | int | float):
            yield name, str(value)[:200]
    yield "size", file_size(facts["bytes"])


def _model(facts: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    model, contract = facts["model"], facts["contract"]
    yield (
        "network",
        (
            f"DSTformer, width {model['dim_feat']}, depth {model['depth']}, {model['num_heads']} heads, "
            f"{model['head']} head"
        ),
    )
    names = contract.get("class_names") or ()
    shown = ", ".join(map(str, names[:5])) + (", ..." if len(names) > 5 else "")
    yield "classes", f"{len(names)}: {shown}"
    yield (
        "clips",
        (
            f"{contract['frames']} frames ({contract['min_frames']} to {contract['max_frames']}), up to "
            f"{contract['persons']} persons"
        ),
    )


def _onnx(facts: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    yield "made by", facts["producer"] or "unknown"
    yield "opset", ", ".join(f"{name} {version}" for name, version in facts["opset"].items())
    for side in ("inputs", "outputs"):
        for name, tensor in facts[side].items():
            yield side[:-1], f"{name}: {tensor['type']} ({', '.join(map(str, tensor['shape']))})"
    frames = facts["gemm_flops"].get("frames")
    where = f" at {frames} frames" if frames else ""
    yield f"matrix products{where}", product_words(facts) or "none whose shapes are known"
    for kind, counts in facts["initializers"].items():
        yield f"weights in {kind}", f"{counts['tensors']} tensors, {file_size(counts['bytes'])}"
    yield "operations", ", ".join(f"{op} {count}" for op, count in facts["nodes"].items())
    yield "size", file_size(facts["bytes"])


def _engine(facts: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    yield "flavour", facts["flavour"]
    yield "size", file_size(facts["bytes"])
    if not facts["in_bundle"]:
        yield "made for", "unknown: no bundle beside it names it"
        return
    yield "part", f"{facts['role']} in {', '.join(facts['precisions'])}"
    yield "products", product_words(facts["read_back"])
    yield "takes", _takes(facts["shapes"])
    yield "made for", _made_for(facts["built_for"])
    for name, value in (facts["built_for"].get("options") or {}).items():
        if value not in _DEFAULTS:
            yield f"option {name}", value


_VIEWS = {"bundle": _bundle, "checkpoint": _checkpoint, "onnx": _onnx, "engine": _engine}


def _files(artifacts: list[dict[str, Any]]) -> Iterator[tuple[object, ...]]:
    seen: dict[str, list[dict[str, Any]]] = {}
    for item in artifacts:
        seen.setdefault(item["file"], []).append(item)
    for file, items in seen.items():
        first = items[0]
        yield (
            file,
            ", ".join([first["role"], *dict.fromkeys(one["precision"] for one in items), first["kind"]]),
            file_size(first["bytes"]),
            product_words(first["read_back"]),
            _takes(first["shapes"]),
            _made_for(first["built_for"] or {}),
            ", ".join(dict.fromkeys(name for one in items for name in one["runners"])) or "nothing by itself",
        )


def _takes(shapes: Mapping[str, Any]) -> str:
    """Frames of every profile, and persons."""
    persons, frames, profiles = (shapes.get(key) for key in ("persons", "frames", "profiles"))
    words = []
    if isinstance(profiles, list):
        ranges = (":".join(map(str, one)) for one in profiles if isinstance(one, list))
        words.append(f"frames {', '.join(ranges)}")
    elif isinstance(frames, list) and len(frames) == 2:
        words.append(f"{frames[0]} to {frames[1]} frames")
    if isinstance(persons, list) and len(persons) == 2:
        words += [f"up to {persons[1]} persons"] if persons[1] else []
    return "; ".join(words)


def _made_for(built_for: Mapping[str, Any]) -> str:
    sms = built_for.get("sm")
    listed = ", ".join(map(str, sms)) if isinstance(sms, list) else ""
    words = [str(built_for[key]) for key in ("gpu",) if built_for.get(key)]
    version = f"by {built_for['version']}" if built_for.get("version") else ""
    return " ".join([*words, *([listed] if listed else []), *([version] if version else [])])


def _layers(engine: Mapping[str, Any]) -> Table:
    """The first layers as a table, with what the engine computes in and what profiles it has."""
    layers, types = engine["layers"], engine["output_types"]
    rows = (
        (number, layer["type"], layer["name"], _gives(layer["outputs"]), layer["kernel"])
        for number, layer in enumerate(layers[:_MOST_LAYERS])
    )
    notes = [
        f"{len(layers)} layers" + (f", the first {_MOST_LAYERS} here" if len(layers) > _MOST_LAYERS else "")
    ]
    notes += [f"outputs in {', '.join(f'{kind} {count}' for kind, count in types.items())}"] if types else []
    notes += [f"profile {index}: {shapes}" for index, shapes in enumerate(map(_ranges, engine["profiles"]))]
    notes += ["takes other weights"] if engine["refittable"] else []
    return table("Layers", ("", "kind", "layer", "gives", "kernel"), rows, note="; ".join(notes))


def _gives(tensors: list[dict[str, Any]]) -> str:
    return ", ".join(f"{one['type']} {'x'.join(map(str, one['shape']))}".strip() for one in tensors)


def _ranges(profile: Mapping[str, list[list[int]]]) -> str:
    """Least, typical and largest shape of each input."""
    return ", ".join(
        f"{name} {' '.join('x'.join(map(str, shape)) for shape in shapes)}"
        for name, shapes in profile.items()
    )
