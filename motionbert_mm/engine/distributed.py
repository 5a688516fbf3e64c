"""Opening and closing of process groups, also on machines without CUDA."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.dist import init_dist


@contextmanager
def process_group(config: Config) -> Iterator[None]:
    """Keep a distributed run's processes together from its start to its end.

    On a CPU this takes the place of MMEngine's start, which selects a CUDA device before it opens the group
    and hands device ids to the model wrapper; with CUDA it is that start, a little earlier. A run that ends well waits
    for all processes and closes the group: a process that leaves with the group's threads alive can be aborted at its
    very end.

    Args:
        config: of the run, with ``launcher`` set; changed in place on a CPU.
    """
    if config.launcher != 'none' and torch.cuda.is_available() and not dist.is_initialized():
        init_dist(config.launcher, **config.get('env_cfg', {}).get('dist_cfg', {}))
    elif config.launcher != 'none' and not torch.cuda.is_available():
        if not dist.is_initialized():
            dist.init_process_group('gloo')
        config.setdefault('model_wrapper_cfg', dict(type='MMDistributedDataParallel', device_ids=None,
                                                    broadcast_buffers=False))
    yield
    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()
