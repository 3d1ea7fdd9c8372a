"""A checkpoint to a bundle that has been checked against it, and engines into a bundle that there is."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from maskclr_edge.checkpoint import Checkpoint
from maskclr_edge.deploy import parity
from maskclr_edge.deploy.build_options import DEFAULT_SMS, EngineSettings, engine_settings
from maskclr_edge.deploy.builder import to_bytes
from maskclr_edge.deploy.bundle_folder import BundleFolder
from maskclr_edge.deploy.engine_set import add_engines, check_engines
from maskclr_edge.deploy.graph import encoder_graph, fits_half, head_graph
from maskclr_edge.deploy.manifest import as_entry, built_by, fingerprint, now
from maskclr_edge.deploy.onnx_pair import open_pair
from maskclr_edge.deploy.precision import OPENVINO, ORT, PRECISIONS, Form, Precision, get_precision
from maskclr_edge.deploy.quantised import Quantised
from maskclr_edge.deploy.read_back import check_share, read_back, read_bundle
from maskclr_edge.deploy.scale_table import ScaleTable
from maskclr_edge.errors import ConfigError, ExportError
from maskclr_edge.optional import require
from maskclr_edge.runtime.bundle import FORMAT, MANIFEST, VERSION, Bundle

Floats = npt.NDArray[np.float32]
Progress = Callable[[int, int, str], None]


def export_bundle(
    checkpoint: Checkpoint,
    out: str | Path,
    *,
    precisions: Sequence[str] = ("fp32",),
    engines: Sequence[str | EngineSettings] = (),
    sms: Sequence[int] = DEFAULT_SMS,
    calibration: Sequence[Floats] | Floats | ScaleTable | None = None,
    calibration_info: Mapping[str, Any] | None = None,
    calibration_method: str = "minmax",
    skip: Sequence[str] = (),
    smooth: float | None = None,
    max_drop: float | None = None,
    held_out: tuple[Floats, npt.NDArray[np.int64]] | None = None,
    storage: str = "float32",
    verify: str = "corners",
    name: str = "",
    progress: Progress | None = None,
) -> Bundle:
    """Write a bundle of a checkpoint and return it, opened. The place of an old bundle is taken.

    precisions: of the ONNX graphs, see :data:`PRECISIONS`. engines: "tensorrt" or "tensorrt-rtx", or the
    settings of one, built for each precision. sms: compute capabilities of "tensorrt-rtx" where it is given
    by name.
    calibration: clips (N, M, T, 17, 3), several such arrays of different T, or a scale table; what is
    quantised needs one of them. calibration_info: what the clips are, for the manifest. skip: modules that
    quantisation leaves alone. smooth: move outliers of activations into weights before, by a strength of 0
    to 1, see ``smooth``; needs clips. max_drop: points of top-1 accuracy that quantisation may cost, by
    ``held_out``, clips (N, M, T, 17, 3) and labels (N,): what hurts most is then left alone, see ``budget``.
    storage: of fp32, see ``encoder_graph``; "auto" is float16 where that loses nothing.
    verify: "corners" or "full", the grid of parity shapes. name: what the checkpoint is called, for the
    manifest.

    Raises ExportError when a graph does not agree with the checkpoint, an engine is refused or the disk
    fails; ConfigError for options that are not known; CheckpointError for damaged weights. Then nothing is
    written.
    """
    wanted = engine_settings(engines, sms)
    _check_options(precisions, wanted, calibration)
    if smooth is not None and isinstance(calibration, ScaleTable):
        raise ConfigError("smooth needs calibration clips; a scale table is of the network as it is")
    if max_drop is not None and held_out is None:
        raise ConfigError("max_drop needs held-out clips and their labels")
    if max_drop is not None and checkpoint.config.head != "class":
        raise ConfigError("max_drop is about top-1 accuracy, and an embedding head knows no classes")
    checkpoint.check(name or "checkpoint")
    if isinstance(calibration, ScaleTable):
        calibration.check_model(checkpoint)
        calibration_method, calibration_info = calibration.method, calibration.clips
    contract = checkpoint.contract
    shapes = parity.shape_grid(verify, contract)
    made_by = built_by([one.kind for one in wanted])
    if storage == "auto":
        storage = "float16" if fits_half(checkpoint) else "float32"
    with BundleFolder(out) as folder:
        head = head_graph(checkpoint, storage=storage)
        heads = _heads(folder, checkpoint, head, precisions)
        encoders: list[tuple[Precision, Form, dict[str, Any]]] = []
        quantised = Quantised(checkpoint, calibration, calibration_method, skip, smooth, progress)
        if max_drop is not None and held_out is not None:
            quantised.keep_within(max_drop, held_out, to_bytes(head))
        for kind in map(get_precision, precisions):
            for form in kind.forms:
                if progress is not None:
                    progress(0, 0, f"{kind.name} graph")
                if kind.quantised:
                    graph = quantised.graph(kind, form)
                    made_by["calibration"] = quantised.facts(calibration_info)
                elif kind.name == "fp32":
                    graph = encoder_graph(checkpoint, storage=storage)
                else:
                    graph = encoder_graph(checkpoint, compute=kind.compute)
                entry = folder.write(f"encoder.{kind.name}{form.suffix}.onnx", to_bytes(graph))
                found = read_back(graph, frames=contract.frames, longest=contract.max_frames)
                check_share(kind, found)
                encoders.append((kind, form, entry | {"read_back": found}))
        measured = _measure(folder, checkpoint, encoders, heads, shapes, progress)
        worst = _worst(encoders, measured)
        artifacts = []
        for kind in map(get_precision, precisions):
            common = {
                "kind": "onnx",
                "precision": kind.name,
                "shapes": {"persons": [1, None], "frames": [contract.min_frames, contract.max_frames]},
                "built_for": None,
            }
            for of, form, entry in encoders:
                if of is kind:
                    own = {"runners": list(form.runners), "parity": measured[entry["file"]]}
                    artifacts.append(entry | {"role": "encoder"} | common | own)
            own = {"runners": list(kind.runners), "parity": worst[kind.name]}
            artifacts.append(heads[kind.name] | {"role": "head"} | common | own)
        artifacts += add_engines(folder, checkpoint.config, contract, artifacts, wanted, progress)
        folder.finish(
            {
                "format": FORMAT,
                "version": VERSION,
                "model": checkpoint.config.to_dict(),
                "contract": contract.to_dict(),
                "checkpoint": {"name": name, "sha256": fingerprint(checkpoint), "info": checkpoint.info},
                "built_by": made_by,
                "created": now(),
                "artifacts": artifacts,
                "parity": worst,
            }
        )
    return Bundle.open(out)


def extend_bundle(
    bundle: Bundle,
    out: str | Path,
    *,
    engines: Sequence[str | EngineSettings],
    precisions: Sequence[str] = (),
    sms: Sequence[int] = DEFAULT_SMS,
    progress: Progress | None = None,
) -> Bundle:
    """A copy of a bundle at ``out`` (which may be its own place) with engines made from its ONNX files.

    engines and sms: as in ``export_bundle``. precisions: those that get an engine, all that it has when
    empty. Engines of these kinds that are there already are left behind. Raises ConfigError for a precision
    that the bundle lacks, and otherwise as ``export_bundle``.
    """
    wanted = engine_settings(engines, sms)
    check_engines(wanted)
    kinds = [one.kind for one in wanted]
    have = list(
        dict.fromkeys(
            item.precision for item in bundle.artifacts if item.kind == "onnx" and item.role == "encoder"
        )
    )
    chosen = list(precisions) or have
    for precision in chosen:
        if precision not in have:
            raise ConfigError(
                f"{bundle.path} has no {precision} ONNX, it has {', '.join(have) or 'none'}; "
                f"make it from the checkpoint: maskclr-edge export CHECKPOINT --precision {precision}"
            )
    bundle.verify()
    read_bundle(bundle)  # an engine is no better than the graph that it is built from
    with BundleFolder(out) as folder:
        # all of a kind go together: precisions share a head, which is for the GPUs of one build
        kept = [item for item in bundle.artifacts if item.kind not in kinds]
        # files that the manifest does not name, such as a model card, go along
        for file in dict.fromkeys([item.file for item in kept] + list(bundle.unlisted())):
            folder.copy(bundle.path / file, file)
        artifacts = [as_entry(item) for item in kept]
        sources = [item for item in artifacts if item["kind"] == "onnx" and item["precision"] in chosen]
        artifacts += add_engines(folder, bundle.config, bundle.contract, sources, wanted, progress)
        manifest = json.loads((bundle.path / MANIFEST).read_text(encoding="utf-8"))
        made_by = dict(bundle.built_by) | built_by(kinds)
        folder.finish(manifest | {"artifacts": artifacts, "built_by": made_by, "created": now()})
    return Bundle.open(out)


def _check_options(precisions: Sequence[str], engines: Sequence[EngineSettings], calibration: Any) -> None:
    if not precisions:
        raise ConfigError(f"no precision to export; name some of {', '.join(PRECISIONS)}")
    for precision in map(get_precision, precisions):
        if precision.quantised and calibration is None:
            raise ConfigError(
                f"{precision.name} needs calibration clips; give some, or leave {precision.name} out"
            )
        if ORT not in precision.runners:
            require(OPENVINO)  # what its parity is measured with
    check_engines(engines)


def _heads(
    folder: BundleFolder, checkpoint: Checkpoint, head: onnx.ModelProto, precisions: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Write the heads that precisions need; precision -> what the manifest says of its head.

    Next to none of the operations are in it, so most precisions share ``head``. What computes in float16 has
    one in float16: half the bytes, and no product that SM75 lacks.
    """
    files: dict[str, dict[str, Any]] = {}
    heads = {}
    for kind in map(get_precision, precisions):
        file = "head.fp16.onnx" if kind.compute == "float16" else "head.onnx"
        if file not in files:
            graph = head if file == "head.onnx" else head_graph(checkpoint, compute=kind.compute)
            files[file] = folder.write(file, to_bytes(graph)) | {"read_back": read_back(graph)}
        heads[kind.name] = files[file]
    return heads


def _measure(
    folder: BundleFolder,
    checkpoint: Checkpoint,
    encoders: Sequence[tuple[Precision, Form, Mapping[str, Any]]],
    heads: Mapping[str, Mapping[str, Any]],
    shapes: Sequence[tuple[int, int, int]],
    progress: Progress | None,
) -> dict[str, dict[str, Any]]:
    """Parity of each file. Raises ExportError for the first that does not agree with the checkpoint."""
    probes, reference = parity.make_probes(checkpoint, shapes, progress)
    measured = {}
    for precision, _, entry in encoders:
        head = folder.path(heads[precision.name]["file"])
        result = parity.compare(
            open_pair(precision, folder.path(entry["file"]), head).infer,
            probes,
            exact=precision.name == "fp32",
            tolerance=precision.tolerance,
            reference=reference,
            progress=progress,
            what=f"parity {precision.name}",
        )
        if not result.passed:
            count, persons, frames = result.worst_shape
            raise ExportError(
                f"the {precision.name} graph does not agree with the checkpoint ({reference}): error of "
                f"logits up to {result.max_abs_error:.3g}, relative {result.relative_error:.3g}, tolerance "
                f"{result.tolerance:g}, worst at {count} clips, {persons} persons, {frames} frames; "
                "nothing was written"
            )
        measured[entry["file"]] = result.to_dict()
    return measured


def _worst(
    encoders: Sequence[tuple[Precision, Form, Mapping[str, Any]]], measured: Mapping[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Parity of each precision: that of the file that is farthest off."""
    worst: dict[str, dict[str, Any]] = {}
    for precision, _, entry in encoders:
        found = measured[entry["file"]]
        other = worst.get(precision.name, found)
        worst[precision.name] = max(found, other, key=lambda one: float(one["max_abs_error"]))
    return worst
