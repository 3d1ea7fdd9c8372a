"""Several processes and machines: started by torchrun, which says through the environment who we are.

Every process draws the global batch's indices and noise from the same seeds and works on its own slice.
Features are gathered with gradient and the head and losses see the global batch, so that the result is
that of one process with the same global batch (dropout aside).
"""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.nn.functional import all_gather


def rank() -> int:
    """This process's number, 0 where there is one process."""
    return dist.get_rank() if dist.is_initialized() else 0


def launched_rank() -> int:
    """The number that torchrun gave this process, before any group is joined."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


@contextmanager
def process_group() -> Iterator[torch.device]:
    """Join the group that torchrun describes, if any; gives the device to train on."""
    launched = int(os.environ.get("WORLD_SIZE", "1")) > 1
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    if launched:
        dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield torch.device("cuda", torch.cuda.current_device()) if cuda else torch.device("cpu")
    finally:
        if launched:
            # A wrapped network holds the group. Going last, it waits with Python locked for a thread of the
            # group that may wait for Python (pytorch/pytorch#56297); the group left first waits unlocked.
            gc.collect()
            dist.destroy_process_group()


def gather(local: Tensor) -> Tensor:
    """Rows of all processes in rank order, with gradient; every process must hold equally many."""
    if world_size() == 1:
        return local
    parts = all_gather(local.contiguous())  # type: ignore[no-untyped-call]
    return torch.cat(parts)


def own_slice(total: int) -> slice:
    """The rows of a global batch of ``total`` that this process works on."""
    share = total // world_size()
    return slice(rank() * share, (rank() + 1) * share)
