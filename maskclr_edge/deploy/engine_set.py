"""The engines of a bundle: every ONNX artifact that is given becomes one, with its entry in the manifest."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from maskclr_edge.checkpoint import ModelConfig
from maskclr_edge.deploy import engine
from maskclr_edge.deploy.bundle_folder import BundleFolder
from maskclr_edge.errors import ConfigError
from maskclr_edge.skeleton import SkeletonContract

Progress = Callable[[int, int, str], None]

#: kind of engine -> what its files are called
SUFFIXES = {"tensorrt-rtx": "rtx"}
ENGINES = tuple(SUFFIXES)
#: most persons that an engine takes at once
ENGINE_PERSONS = 16


def check_engines(engines: Sequence[str]) -> None:
    """Raise ConfigError for an unknown kind, MissingDependencyError where its builder is not installed."""
    for kind in engines:
        if kind not in ENGINES:
            raise ConfigError(f"engine is {kind!r}; expected {', '.join(ENGINES)}")
    if engines:
        engine.load_rtx()  # a missing package is known before anything is computed


def add_engines(
    folder: BundleFolder,
    config: ModelConfig,
    contract: SkeletonContract,
    sources: Sequence[Mapping[str, Any]],
    kinds: Sequence[str],
    sms: Sequence[int],
    progress: Progress | None,
    span: tuple[int, int] | None = None,
) -> list[dict[str, Any]]:
    """Engines of every ONNX artifact given, as manifest entries. span: least and most frames."""
    slots, width = contract.persons, config.feature_size
    frames = _frames(contract, span)
    persons = tuple((p, t, 17, 3) for p, t in zip((1, 1, ENGINE_PERSONS), frames, strict=True))
    inputs: dict[str, dict[str, engine.ShapeRange]] = {
        "encoder": {"persons": (persons[0], persons[1], persons[2])},
        "head": {"features": ((1, slots, width), (1, slots, width), (ENGINE_PERSONS, slots, width))},
    }
    made: dict[tuple[str, str], dict[str, Any]] = {}
    entries = []
    for kind in kinds:
        for source in sources:
            key = (kind, source["file"])
            if source["role"] not in inputs or "uint8" in source["read_back"].get("initializers", {}):
                continue  # a form for CPUs: TensorRT takes signed activations only
            if key not in made:  # precisions may share a head
                stem = source["file"].removesuffix(".onnx")
                data = engine.build_engine(
                    folder.path(source["file"]).read_bytes(),
                    inputs[source["role"]],
                    sms=sms,
                    what=f"{kind} engine of {source['file']}",
                    progress=progress,
                )
                made[key] = folder.write(f"{stem}.{SUFFIXES[kind]}.engine", data)
            entries.append(
                made[key]
                | {
                    "role": source["role"],
                    "kind": kind,
                    "precision": source["precision"],
                    # strongly typed: the engine has the types of the graph that it was built from
                    "read_back": {"from": source["file"], **_shares(source["read_back"])},
                    "runners": [kind],
                    "shapes": {"persons": [1, ENGINE_PERSONS], "frames": [frames[0], frames[2]]},
                    "built_for": {"sm": [f"SM{sm}" for sm in sms], "version": engine.rtx_version()},
                    "parity": None,
                }
            )
    return entries


def _frames(contract: SkeletonContract, span: tuple[int, int] | None) -> tuple[int, int, int]:
    """Least, typical and most frames. Raises ConfigError where the model and the span share none."""
    low, high = span or (contract.min_frames, contract.max_frames)
    low, high = max(low, contract.min_frames), min(high, contract.max_frames)
    if not low <= contract.frames <= high:
        raise ConfigError(
            f"engines for {low} to {high} frames would not take the model's {contract.frames}; "
            "widen the target's frames"
        )
    return low, contract.frames, high


def _shares(read_back: Mapping[str, Any]) -> dict[str, Any]:
    return {key: read_back[key] for key in ("gemm_weights", "gemm_flops") if key in read_back}
