"""The network of benchmarks/peers.py: its checkpoint and bundle, clips for it, and how often it agrees."""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from maskclr_edge.bench.process import run_process
from maskclr_edge.checkpoint import Checkpoint, ModelConfig, read_checkpoint, write_checkpoint
from maskclr_edge.data import make_clips, read_annotations
from maskclr_edge.errors import ConfigError
from maskclr_edge.evaluation import match_classes
from maskclr_edge.runtime import Classifier
from maskclr_edge.skeleton import SkeletonContract, preprocess

CLIPS = 16
RANDOM = "random, seed 0"


def prepared(
    keep: Path, *, model: Path | None, small: bool, precisions: str, data: str, split: str
) -> Checkpoint:
    """The checkpoint, and beside it the bundle as `maskclr-edge export` makes it, where they are not there.

    model: a trained checkpoint; without it the published size with random weights, or a tiny one.
    Raises ConfigError when the folder holds another network.
    """
    keep.mkdir(parents=True, exist_ok=True)
    path, bundle = keep / "checkpoint.safetensors", keep / "bundle"
    wanted = read_checkpoint(model) if model else random_checkpoint(small=small)
    if not path.exists():
        write_checkpoint(path, wanted)
    found = read_checkpoint(path)
    same = found.config == wanted.config and all(
        np.array_equal(found.weights[name], value) for name, value in wanted.weights.items()
    )
    if not same:
        raise ConfigError(f"{path} is not the network that was asked for; name another --keep")
    if not bundle.exists():
        print("exporting the bundle", flush=True)
        edge = [sys.executable, "-m", "maskclr_edge", "export", str(path), "--out", str(bundle)]
        if "int8" in precisions:
            edge += ["--calibration", data, "--split", split]
        run_process([*edge, "--precision", precisions])
    return found


def weights_of(checkpoint: Checkpoint) -> str:
    """Where the weights are from, for the result."""
    return RANDOM if checkpoint.info.get("weights") == RANDOM else "trained"


def trained_how(checkpoint: Checkpoint) -> dict[str, Any]:
    """What the weights were trained on, as far as the checkpoint says; nothing for random ones."""
    return {key: checkpoint.info[key] for key in ("data", "split", "epochs") if key in checkpoint.info}


def random_checkpoint(*, small: bool) -> Checkpoint:
    """The published size of network, or a tiny one, with the weights that training starts from."""
    sizes: dict[str, Any] = {"dim_feat": 32, "dim_rep": 32, "depth": 2, "num_heads": 2, "hidden_dim": 64}
    config = ModelConfig(num_classes=15, **(sizes | {"maxlen": 24} if small else {}))
    return random_network(config, frames=min(81, config.maxlen))


def random_network(config: ModelConfig, frames: int) -> Checkpoint:
    """A network with the weights that training starts from; ``frames`` is its contract's length."""
    import torch

    from maskclr_edge.model import ActionNet

    torch.manual_seed(0)
    state = ActionNet(config).eval().state_dict()
    weights = {name: value.numpy() for name, value in state.items() if "num_batches" not in name}
    names = tuple(f"class {number}" for number in range(config.num_classes))
    contract = SkeletonContract(names, frames, max_frames=config.maxlen)
    return Checkpoint(config, contract, weights, {"weights": RANDOM})


def real_clips(data: str, split: str, contract: SkeletonContract, frames: int) -> list[np.ndarray]:
    """Clips (1, 2, T, 17, 3) of one person each, the second slot zeros, as the contract's preprocessing."""
    found = []
    for one in read_annotations(data).split(split):
        clip = preprocess(
            one.keypoints, contract, layout=one.layout, resolution_wh=one.resolution_wh, frames=frames
        )
        if clip[0].any() and not clip[1].any():
            found.append(clip[None])
        if len(found) == CLIPS:
            break
    if not found:
        raise ConfigError(f"{data} has no clip of one person in split {split}")
    return found


def agreement(
    model: str | Path, runners: dict[str, list[str]], data: str, split: str, threads: int | None
) -> list[dict[str, Any]]:
    """How often each precision of a trained model gives the class that its fp32 gives, on a whole split."""
    found: list[dict[str, Any]] = []
    clips = None
    for runner, precisions in runners.items():
        answers: dict[str, np.ndarray] = {}
        for precision in ["fp32", *precisions]:
            print(f"agreement, {runner} {precision}", flush=True)
            with Classifier.open(model, runner=runner, precision=precision, threads=threads) as one:
                if clips is None:
                    known = match_classes(read_annotations(data), one.contract.class_names)
                    clips, _ = make_clips(known.split(split), one.contract)
                answers[precision] = one.classify_clips(clips).argmax(axis=1)
        for precision in precisions:
            same = float(np.mean(answers["fp32"] == answers[precision]))
            row = {"runner": runner, "precision": precision, "count": len(clips), "same_percent": 100 * same}
            found.append(row)
    return found
