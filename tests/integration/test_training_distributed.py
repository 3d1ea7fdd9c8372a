"""Two processes train as one: the same losses and weights for the same global batch, dropout off."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch")
from maskclr_edge.checkpoint import read_checkpoint  # noqa: E402
from maskclr_edge.data import made_up_clips, make_clips  # noqa: E402
from maskclr_edge.runtime.torch_runner import TorchRunner  # noqa: E402

SETTINGS = {
    **{"dim_feat": 16, "dim_rep": 16, "clip_len": 8, "persons": 2, "epochs": 2, "batch_size": 32},
    **{"dropout_ratio": 0, "lr_backbone": 0.001, "lr_head": 0.001},
    **{"msk_type": "agpm", "msk_path_start_epoch": 1, "ce_type": "avgce", "scl": 0.1, "ccl": 0.1},
}


#: the command, where it may not leave its group while a wrapped network, which holds it too, is there
WATCHED = """
import gc, sys
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from maskclr_edge.cli.main import main
leave = dist.destroy_process_group
def watched():
    assert not [one for one in gc.get_objects() if type(one) is DistributedDataParallel], "a network is there"
    leave()
dist.destroy_process_group = watched
sys.exit(main())
"""


def run(out, processes):
    command = [sys.executable]
    if processes > 1:
        script = out.with_suffix(".py")
        script.write_text(WATCHED)
        command += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        command += [str(script)]
    else:
        command += ["-m", "maskclr_edge"]
    command += ["train", "made_up_tiny", "--out", str(out)]
    for key, value in SETTINGS.items():
        command += ["--set", f"{key}={value}"]
    done = subprocess.run(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this PyTorch has no distributed package")
def test_two_processes_give_what_one_gives(tmp_path):
    one, two = run(tmp_path / "one", 1), run(tmp_path / "two", 2)
    for alone, together in zip(one, two, strict=True):
        for name in set(alone) - {"clips_per_second"}:
            assert together[name] == pytest.approx(alone[name], rel=2e-4, abs=1e-5), name
    # weights without a gradient, such as a bias before batch norm, drift with rounding: compare functions
    data = made_up_clips(46, seed=9)
    checkpoints = [read_checkpoint(tmp_path / name / "best.safetensors") for name in ("one", "two")]
    clips, _ = make_clips(data.annotations, checkpoints[0].contract)
    logits = []
    for checkpoint in checkpoints:
        with TorchRunner(checkpoint, "fp32", None) as runner:
            logits.append(runner.infer(clips))
    assert np.abs(logits[0]).max() > 0.1
    assert np.abs(logits[1] - logits[0]).max() < 0.05 * np.abs(logits[0]).max()
    assert np.corrcoef(logits[0].ravel(), logits[1].ravel())[0, 1] > 0.999
