"""The training loop: annotations and a config in, checkpoints out."""

import datetime
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from maskclr_edge.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from maskclr_edge.data import Annotation, AnnotationSet, make_clips
from maskclr_edge.errors import ConfigError, DataError, TrainingError
from maskclr_edge.evaluation import Evaluation, evaluate, evaluate_oneshot
from maskclr_edge.evaluation.oneshot import EXEMPLAR_SPLIT, TEST_SPLIT
from maskclr_edge.files import write_atomically
from maskclr_edge.model import ActionNet, Regularisation, load_backbone, to_weights
from maskclr_edge.runtime.torch_runner import TorchRunner
from maskclr_edge.training import distributed
from maskclr_edge.training.augment import training_batch
from maskclr_edge.training.clip_choice import choose_clips, data_hash, epoch_order, two_person_classes
from maskclr_edge.training.config import TrainConfig
from maskclr_edge.training.pathways import PackedBatch, Pathways, StepResult, pack
from maskclr_edge.training.schedule import MovingAverage, make_optimiser, rate_factor, set_rates
from maskclr_edge.training.state import STATE_FILE, Progress, load_state, save_state
from maskclr_edge.training.store import ClipStore

LATEST, BEST, LOG_FILE, CONFIG_FILE = "latest.safetensors", "best.safetensors", "log.jsonl", "config.yaml"


@dataclass(frozen=True)
class Event:
    """What an observer is told after each step and each epoch; epochs and steps count from 1.

    kind: "step" or "epoch". figures: losses by name, "lr", "clips_per_second", and at an epoch's end
    "train_top1" and, with a holdout, "top1" and "top5" (percent).
    """

    kind: str
    epoch: int
    step: int
    steps_per_epoch: int
    figures: Mapping[str, float]


@dataclass(frozen=True)
class TrainResult:
    """The checkpoint to use, the epochs it was trained for, and its evaluation on the val split, if any."""

    checkpoint: Path
    epochs: int
    val: Evaluation | None
    history: list[dict[str, Any]] = field(default_factory=list)


def train(
    config: TrainConfig,
    data: AnnotationSet,
    out: str | Path,
    *,
    resume: bool = False,
    pretrained: str | Path | None = None,
    observe: Callable[[Event], None] | None = None,
) -> TrainResult:
    """Train by ``config`` on ``data``; ``out`` receives checkpoints, state, log and config.

    resume: continue the run in ``out`` exactly. pretrained: a checkpoint, ours or upstream's, whose backbone
    the run starts from. observe: called after each step and each epoch.
    Raises DataError (split missing, class without clips), ConfigError, TrainingError (loss is not finite).
    """
    with distributed.process_group() as device:
        return _run(
            _Run(config, data, Path(out), device, observe or (lambda event: None)), resume, pretrained
        )


def _run(run: "_Run", resume: bool, pretrained: str | Path | None) -> TrainResult:
    """Train to the end. What has the network is this call's, and gone before its process group is left."""
    run.start(resume, pretrained)
    for epoch in range(run.progress.epoch, run.config.epochs):
        run.epoch(epoch)
    return run.finish()


class _Run:
    """One training run's moving parts."""

    def __init__(
        self,
        config: TrainConfig,
        data: AnnotationSet,
        out: Path,
        device: torch.device,
        observe: Callable[[Event], None],
    ) -> None:
        self.config, self.data, self.out, self.device, self.observe = config, data, out, device, observe
        chosen, self.held_out = choose_clips(config, data)
        self.contract = config.contract(data.class_names, two_person_classes(chosen, data.class_names))
        self.store = ClipStore.from_annotations(chosen, self.contract)
        self.per_class = config.n_views if config.model.head == "embed" else 1
        usable = len(epoch_order(self.store.labels, self.per_class, np.random.default_rng(0)))
        self.batch = min(config.batch_size, usable)
        if self.batch % (distributed.world_size() * config.accumulate):
            raise ConfigError(
                f"batch_size {self.batch} does not divide by {distributed.world_size()} processes times "
                f"accumulate {config.accumulate}; choose one that does"
            )
        self.steps = max(1, usable // max(1, self.batch))
        torch.manual_seed(config.seed)
        regularisation = Regularisation(dropout=config.dropout_ratio, drop_path=config.drop_path)
        self.model = ActionNet(config.model, regularisation).to(device)
        self.optimiser = make_optimiser(self.model, config)
        self.average = MovingAverage(self.model, config.ema) if config.ema else None
        pathways: nn.Module = Pathways(self.model, config)
        if distributed.world_size() > 1:
            masks = config.msk_type != "none" and config.model.mask_token
            pathways = DistributedDataParallel(pathways, find_unused_parameters=masks)
        self.pathways = torch.compile(pathways) if config.compile else pathways
        self.progress = Progress(data_hash=data_hash(chosen))

    def start(self, resume: bool, pretrained: str | Path | None) -> None:
        """Fresh weights, or the state of an earlier run."""
        self.out.mkdir(parents=True, exist_ok=True)
        if resume:
            stored = load_state(self.out, self.config, self.model, self.average, self.optimiser)
            if stored.data_hash != self.progress.data_hash:
                raise DataError(f"{self.out} was trained on other clips; give the same annotation file")
            self.progress = stored
            return
        if (self.out / STATE_FILE).exists():
            raise ConfigError(f"{self.out} holds a run already; add --resume, or choose another --out")
        if pretrained is not None:
            load_backbone(self.model, pretrained)
        if self.average is not None:
            self.average = MovingAverage(self.model, self.config.ema)
        if distributed.rank() == 0:
            write_atomically(self.out / CONFIG_FILE, self.config.to_yaml().encode())
            write_atomically(self.out / LOG_FILE, b"")

    def epoch(self, epoch: int) -> None:
        """Train one epoch, look at the holdout, and save."""
        began, sums, right, seen = time.perf_counter(), dict[str, float](), 0, 0
        self.model.train()
        masked = self.config.msk_type != "none" and epoch >= self.config.msk_path_start_epoch
        for step, microbatches in self._batches(epoch):
            factor = rate_factor(self.config, epoch * self.steps + step, self.steps)
            set_rates(self.optimiser, factor)
            results = [self._step(batch, masked) for batch in microbatches]
            self._update(results, epoch, step)
            figures = _mean_figures(results)
            for name, value in figures.items():
                sums[name] = sums.get(name, 0.0) + value
            right += sum(_count_right(result) for result in results)
            seen += sum(len(r.labels) for r in results)
            rate = seen / (time.perf_counter() - began)
            extra = {"lr": self.config.lr_backbone * factor, "clips_per_second": rate}
            self.observe(Event("step", epoch + 1, step + 1, self.steps, figures | extra))
        figures = {name: value / self.steps for name, value in sums.items()}
        figures |= extra
        if self.config.model.head == "class":
            figures["train_top1"] = 100 * right / seen
        self.progress.epoch = epoch + 1
        self._save(figures)
        self.observe(Event("epoch", epoch + 1, self.steps, self.steps, figures))

    def _batches(self, epoch: int) -> Iterator[tuple[int, list[PackedBatch]]]:
        """The epoch's batches in this process's share; every draw is seeded by (seed, epoch, step)."""
        config = self.config
        order = epoch_order(self.store.labels, self.per_class, np.random.default_rng([config.seed, epoch]))
        share = self.batch // config.accumulate
        for step in range(self.steps):
            rng = np.random.default_rng([config.seed, epoch, step])
            torch.manual_seed(int(rng.integers(2**62)) + distributed.rank())
            chosen = order[step * self.batch : (step + 1) * self.batch]
            clips = training_batch(self.store, chosen, config, rng)
            labels = self.store.labels[chosen]
            parts = []
            for start in range(0, self.batch, share):
                rows = slice(start, start + share)
                part = pack(clips[rows], labels[rows], config, rng, distributed.own_slice(share))
                parts.append(part.to(self.device))
            yield step, parts

    def _step(self, batch: PackedBatch, masked: bool) -> StepResult:
        half = self.config.precision == "bf16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            result: StepResult = self.pathways(batch, masked)
        loss = result.loss / self.config.accumulate
        loss.backward()  # type: ignore[no-untyped-call]
        return result

    def _update(self, results: list[StepResult], epoch: int, step: int) -> None:
        """One optimiser step; a loss that is not finite stops the run before it can spoil the weights."""
        if not all(math.isfinite(float(result.loss.detach())) for result in results):
            raise TrainingError(
                f"the loss is not finite at epoch {epoch + 1}, step {step + 1}; the last good state is in "
                f"{self.out}: lower the learning rate or set precision: fp32, then resume or start again"
            )
        if self.config.clip_grad:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_grad)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update(self.model, epoch * self.steps + step)

    def _save(self, figures: dict[str, float]) -> None:
        """Evaluate the holdout, then write checkpoints and state; only the first process does."""
        if distributed.rank() != 0:
            return
        checkpoint = self._checkpoint()
        progress, better = self.progress, not self.held_out
        if self.held_out:
            result = _evaluate(checkpoint, self.held_out)
            figures |= {"top1": result.top1, "top5": result.top5}
            better = result.top1 > progress.best_top1
            if better:
                progress.best_top1, progress.best_epoch = result.top1, progress.epoch
        line = {"epoch": progress.epoch} | {name: round(value, 6) for name, value in figures.items()}
        progress.history.append(line)
        write_checkpoint(self.out / LATEST, checkpoint)
        if better:
            write_checkpoint(self.out / BEST, checkpoint)
        save_state(self.out, self.config, progress, self.model, self.average, self.optimiser)
        log = "".join(json.dumps(entry) + "\n" for entry in progress.history)
        write_atomically(self.out / LOG_FILE, log.encode())

    def finish(self) -> TrainResult:
        """Report the val split once, with the kept weights, and write it into the checkpoint."""
        path = self.out / BEST
        split = TEST_SPLIT if self.config.model.head == "embed" else self.config.val_split
        if distributed.rank() != 0 or split not in self.data.splits:
            return TrainResult(path, self.progress.epoch, None, self.progress.history)
        checkpoint = read_checkpoint(path)
        annotations = self.data.split(split)
        if self.config.model.head == "embed":
            result = _evaluate_oneshot(checkpoint, self.data.split(EXEMPLAR_SPLIT), annotations)
        else:
            result = _evaluate(checkpoint, annotations)
        checkpoint.info["val"] = {"split": split, **result.summary()}
        write_checkpoint(path, checkpoint)
        return TrainResult(path, self.progress.epoch, result, self.progress.history)

    def _checkpoint(self) -> Checkpoint:
        """The weights that are evaluated and written: the moving average where there is one."""
        network = ActionNet(self.config.model)
        network.load_state_dict(self.average.weights if self.average else self.model.state_dict())
        published = replace(self.config, dataset=Path(self.config.dataset).name)
        info = {
            "trained_by": "maskclr-edge train",
            "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
            "data": Path(self.data.source).name,
            "made_up": self.data.made_up,
            "split": self.config.train_split,
            "clips": len(self.store),
            "epochs": self.progress.epoch,
            "config": published.to_flat(),
        }
        return Checkpoint(self.config.model, self.contract, to_weights(network), info)


def _evaluate(checkpoint: Checkpoint, annotations: list[Annotation]) -> Evaluation:
    clips, labels = make_clips(annotations, checkpoint.contract)
    with TorchRunner(checkpoint, "fp32", None) as runner:
        return evaluate(runner.infer, clips, labels)


def _evaluate_oneshot(
    checkpoint: Checkpoint, exemplars: list[Annotation], annotations: list[Annotation]
) -> Evaluation:
    anchors, clips = make_clips(exemplars, checkpoint.contract), make_clips(annotations, checkpoint.contract)
    with TorchRunner(checkpoint, "fp32", None) as runner:
        return evaluate_oneshot(runner.infer, *anchors, *clips)[0]


def _count_right(result: StepResult) -> int:
    return 0 if result.logits is None else int((result.logits.argmax(dim=1) == result.labels).sum())


def _mean_figures(results: list[StepResult]) -> dict[str, float]:
    names = results[0].parts
    means = {name: sum(float(r.parts[name]) for r in results) / len(results) for name in names}
    return {"loss": sum(float(r.loss.detach()) for r in results) / len(results)} | means
