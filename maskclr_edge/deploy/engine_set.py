"""The engines of a bundle: every ONNX artifact that is given becomes one, with its entry in the manifest."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from maskclr_edge.checkpoint import ModelConfig
from maskclr_edge.deploy import engine
from maskclr_edge.deploy.build_options import SUFFIXES, EngineSettings
from maskclr_edge.deploy.bundle_folder import BundleFolder
from maskclr_edge.deploy.engine_profiles import Profiles, ShapeRange, default_profiles
from maskclr_edge.deploy.timing_cache import TimingCache
from maskclr_edge.runtime.cuda_device import CudaDevice, find_gpu
from maskclr_edge.runtime.trt_api import load_tensorrt
from maskclr_edge.skeleton import SkeletonContract

Progress = Callable[[int, int, str], None]


def check_engines(engines: Sequence[EngineSettings]) -> None:
    """Raise MissingDependencyError where a builder is not installed: before anything is computed."""
    for settings in engines:
        load_tensorrt(settings.kind)


def add_engines(
    folder: BundleFolder,
    config: ModelConfig,
    contract: SkeletonContract,
    sources: Sequence[Mapping[str, Any]],
    engines: Sequence[EngineSettings],
    progress: Progress | None,
) -> list[dict[str, Any]]:
    """Engines of every ONNX artifact given, as manifest entries."""
    sharing: dict[str, list[str]] = {}  # precisions may share a head
    for source in sources:
        sharing.setdefault(source["file"], []).append(source["precision"])
    entries = []
    for settings in engines:
        kind = settings.kind
        profiles = settings.profiles or default_profiles(kind, contract)
        profiles = profiles.within(contract)
        shapes = {
            "encoder": profiles.encoder(),
            "head": profiles.head(contract.persons, config.feature_size),
        }
        made: dict[str, dict[str, Any]] = {}
        for source in sources:
            file = source["file"]
            if source["role"] not in shapes or not settings.builds(source["precision"]):
                continue
            if "uint8" in source["read_back"].get("initializers", {}):
                continue  # a form for CPUs: TensorRT takes signed activations only
            if file not in made:
                made[file] = _build(
                    folder, file, sharing[file], shapes[source["role"]], profiles, settings, progress
                )
            entries.append(
                made[file]
                | {
                    "role": source["role"],
                    "kind": kind,
                    "precision": source["precision"],
                    # strongly typed: the engine has the types of the graph that it was built from
                    "read_back": {"from": file, **_shares(source["read_back"])},
                    # without its weights it runs only after they were put back
                    "runners": [] if settings.options.weights == "strip" else [kind],
                    "parity": None,
                }
            )
    return entries


def _build(
    folder: BundleFolder,
    file: str,
    precisions: Sequence[str],
    shapes: Sequence[Mapping[str, ShapeRange]],
    profiles: Profiles,
    settings: EngineSettings,
    progress: Progress | None,
) -> dict[str, Any]:
    """Build one engine into the bundle; its part of the manifest entry."""
    kind, sms = settings.kind, settings.capabilities(precisions)
    version = load_tensorrt(kind).version
    gpu = find_gpu() if kind == "tensorrt" else None
    data = engine.build_engine(
        folder.path(file).read_bytes(),
        shapes,
        flavour=kind,
        sms=sms,
        options=settings.options,
        cache=TimingCache(version, gpu, settings.cache) if gpu else None,
        what=f"{kind} engine of {file}",
        progress=progress,
    )
    written = folder.write(f"{file.removesuffix('.onnx')}.{SUFFIXES[kind]}.engine", data)
    low, high = profiles.span
    return written | {
        "shapes": {
            "persons": [1, profiles.persons.high],
            "frames": [low, high],
            "profiles": [[one.low, one.opt, one.high] for one in profiles.frames],
        },
        "built_for": _built_for(gpu, sms) | {"version": version, "options": settings.options.to_dict()},
    }


def _built_for(gpu: CudaDevice | None, sms: Sequence[int]) -> dict[str, Any]:
    if gpu is None:
        return {"sm": [f"SM{sm}" for sm in sms]}
    return {"gpu": gpu.name, "sm": [f"SM{gpu.sm}"]}


def _shares(read_back: Mapping[str, Any]) -> dict[str, Any]:
    return {key: read_back[key] for key in ("gemm_flops", "gemm_flops_longest") if key in read_back}
