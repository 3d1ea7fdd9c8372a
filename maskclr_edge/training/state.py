"""Where a run stands: weights, their average, optimiser and progress, in one file.

Randomness needs no state: every draw is seeded by (seed, epoch, step), so a resumed run sees what an
uninterrupted one would have seen.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from maskclr_edge.errors import CheckpointError, ConfigError
from maskclr_edge.files import write_atomically
from maskclr_edge.training.config import TrainConfig
from maskclr_edge.training.schedule import MovingAverage

STATE_FILE = "state.safetensors"
_FORMAT = "maskclr-edge-training-state"


@dataclass
class Progress:
    """Epochs done, the best holdout top-1 so far (percent) and its epoch, and what was trained on."""

    epoch: int = 0
    best_top1: float = -1.0
    best_epoch: int = 0
    data_hash: str = ""
    history: list[dict[str, Any]] = field(default_factory=list)


def save_state(
    out: Path,
    config: TrainConfig,
    progress: Progress,
    model: nn.Module,
    average: MovingAverage | None,
    optimiser: torch.optim.Optimizer,
) -> None:
    """Write everything that ``load_state`` needs to go on exactly."""
    tensors = {f"model/{name}": value for name, value in model.state_dict().items()}
    if average is not None:
        tensors |= {f"average/{name}": value for name, value in average.weights.items()}
    for name, parameter in _named_parameters(optimiser, model):
        for key, value in optimiser.state[parameter].items():
            tensors[f"optimiser/{name}/{key}"] = torch.as_tensor(value)
    metadata = {
        "format": _FORMAT,
        "config": json.dumps(config.to_flat(), sort_keys=True),
        "progress": json.dumps(vars(progress), sort_keys=True),
    }
    contiguous = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    write_atomically(out / STATE_FILE, save(contiguous, metadata))


def load_state(
    out: Path,
    config: TrainConfig,
    model: nn.Module,
    average: MovingAverage | None,
    optimiser: torch.optim.Optimizer,
) -> Progress:
    """Continue where ``save_state`` stopped.

    Raises CheckpointError for a file that is absent or broken, ConfigError naming the keys in which the
    run's config differs from this one.
    """
    path = out / STATE_FILE
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != _FORMAT:
                raise CheckpointError(f"{path}: not a training state; remove it or choose another --out")
            _check_same_config(path, config, json.loads(metadata["config"]))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
            progress = Progress(**json.loads(metadata["progress"]))
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no training state to resume; start without --resume") from error
    except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
        raise CheckpointError(
            f"{path}: not a whole training state ({error}); start without --resume"
        ) from error
    model.load_state_dict({name: tensors[f"model/{name}"] for name in model.state_dict()})
    if average is not None:
        for name, value in average.weights.items():
            value.copy_(tensors[f"average/{name}"])
    for name, parameter in _named_parameters(optimiser, model):
        prefix = f"optimiser/{name}/"
        state = {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}
        if state:
            on_device = {k: v if k == "step" else v.to(parameter.device) for k, v in state.items()}
            optimiser.state[parameter] = on_device
    return progress


def _named_parameters(optimiser: torch.optim.Optimizer, model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    held = {id(p) for group in optimiser.param_groups for p in group["params"]}
    return [(name, p) for name, p in model.named_parameters() if id(p) in held]


def _check_same_config(path: Path, config: TrainConfig, stored: dict[str, Any]) -> None:
    """A resumed run may differ in nothing but where its data lie."""
    ours = json.loads(json.dumps(config.to_flat()))
    keys = sorted((set(ours) | set(stored)) - {"dataset"})
    different = [key for key in keys if ours.get(key) != stored.get(key)]
    if different:
        details = ", ".join(f"{key}: {stored.get(key)!r} -> {ours.get(key)!r}" for key in different[:5])
        raise ConfigError(f"{path} is of another config ({details}); use that config, or another --out")
