"""New weights into engines that were built for it: a new training of the same network needs no new build.

An engine built with ``weights="refit"`` or ``"strip"`` takes the weights of any ONNX file of the same
structure. It needs the GPU that the engine is for.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from maskclr_edge.deploy.build_options import ENGINES
from maskclr_edge.deploy.bundle_folder import BundleFolder
from maskclr_edge.deploy.engine_errors import translate, translate_parser
from maskclr_edge.deploy.manifest import as_entry, now
from maskclr_edge.errors import BundleError, ConfigError, EngineError
from maskclr_edge.runtime.bundle import MANIFEST, Artifact, Bundle
from maskclr_edge.runtime.trt_api import TensorRt, load_tensorrt

Progress = Callable[[int, int, str], None]


def refit_engine(engine: bytes, model: bytes, *, flavour: str, what: str = "engine") -> bytes:
    """The engine with the weights of an ONNX file of the same structure; it can be refitted again.

    Raises EngineError where the engine cannot be loaded here or has fixed weights, and where the file has not
    the weights that it needs.
    """
    api = load_tensorrt(flavour)
    api.log.messages.clear()
    runtime = api.runtime()
    loaded = runtime.deserialize_cuda_engine(engine)
    if loaded is None:
        raise EngineError(translate(f"{what}, to be refitted,", api.log.errors()))
    if not loaded.refittable:
        raise EngineError(f"{what} was built with fixed weights; build it with --weights refit, or strip")
    refitter = api.make("Refitter", loaded, api.log)
    _give_weights(api, refitter, model, what)
    missing = refitter.get_missing_weights()
    if missing:
        raise EngineError(
            f"{what} needs {len(missing)} weights that the ONNX file has not, such as {missing[0]}; give the "
            "file of the same network and precision"
        )
    if not refitter.refit_cuda_engine():
        raise EngineError(translate(f"{what}, refitted,", api.log.errors()))
    config = loaded.create_serialization_config()
    config.clear_flag(api.trt.SerializationFlag.EXCLUDE_WEIGHTS)
    data = loaded.serialize_with_config(config)
    if data is None:
        raise EngineError(translate(f"{what}, refitted,", api.log.errors()))
    return bytes(data)


def refit_bundle(
    engines: Bundle, weights: Bundle, out: str | Path, progress: Progress | None = None
) -> Bundle:
    """``weights`` with the engines of ``engines``, each given the weights of its ONNX file in ``weights``.

    Both may be the same bundle: that fills engines which were built without weights. Raises ConfigError for
    bundles of different networks, BundleError where ``weights`` lacks a file, and what ``refit_engine``
    raises.
    """
    if engines.config != weights.config:
        raise ConfigError(
            f"{engines.path} and {weights.path} are of different networks; engines take weights of their own"
        )
    found = [item for item in engines.artifacts if item.kind in ENGINES]
    if not found:
        raise ConfigError(f"{engines.path} has no engines; build some with --weights refit, or strip")
    engines.verify()
    weights.verify()
    with BundleFolder(out) as folder:
        kept = [item for item in weights.artifacts if item.kind not in ENGINES]
        for file in dict.fromkeys([item.file for item in kept] + list(weights.unlisted())):
            folder.copy(weights.path / file, file)
        artifacts = [as_entry(item) for item in kept]
        made: dict[str, dict[str, Any]] = {}
        for number, item in enumerate(found):
            if item.file not in made:
                source = _source(item, weights)
                data = refit_engine(
                    engines.read(item),
                    weights.read(source),
                    flavour=item.kind,
                    what=f"{item.kind} {item.file}",
                )
                made[item.file] = folder.write(item.file, data)
            entry = as_entry(item) | made[item.file]
            artifacts.append(entry | {"runners": [item.kind], "parity": None})
            if progress is not None:
                progress(number + 1, len(found), f"refit {item.file}")
        manifest = json.loads((weights.path / MANIFEST).read_text(encoding="utf-8"))
        kinds = {item.kind: load_tensorrt(item.kind).version for item in found}
        made_by = dict(weights.built_by) | kinds
        folder.finish(manifest | {"artifacts": artifacts, "built_by": made_by, "created": now()})
    return Bundle.open(out)


def _give_weights(api: TensorRt, refitter: Any, model: bytes, what: str) -> None:
    parser = api.make("OnnxParserRefitter", refitter, api.log)
    if parser.refit_from_bytes(model):
        return
    if parser.num_errors:
        error = parser.get_error(0)
        node, op = error.node_name() or "", error.node_operator() or ""
        raise EngineError(translate_parser(f"{what}, refitted", node, op, error.desc() or ""))
    raise EngineError(translate(f"{what}, refitted,", api.log.errors()))


def _source(item: Artifact, weights: Bundle) -> Artifact:
    """The ONNX file whose weights an engine takes."""
    name = item.read_back.get("from")
    for other in weights.artifacts:
        if other.kind == "onnx" and (other.file, other.role) == (name, item.role):
            return other
    raise BundleError(
        f"{weights.path} has no {str(name)[:80]}, from which {item.file} was built; export it in "
        f"{item.precision} first"
    )
