"""Short stretches of a real training, with loader, hooks and optimizer; a part of benchmark.py."""
from __future__ import annotations

import copy
import gc
import logging
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any, Optional

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from benchmark_timing import RUN_SECONDS, WARM_UP, wait_for

_numbers = iter(range(10 ** 9))  # MMEngine keeps its objects by the name of the experiment


class StretchEnd(Exception):
    """Ends a training that has been watched for long enough."""


class StretchTimer(Hook):
    """Measure some iterations of one epoch, then end the training.

    The first ones are left out: as many as fill the queues of the loader, unless they take long.

    Args:
        iterations: to be measured, fewer if they take more than ``RUN_SECONDS``.
        workers: of the loader.
        device: whose queue is waited for before the clock is read.
    """

    def __init__(self, iterations: int, *, workers: int = 0, device: str = 'cpu') -> None:
        self.iterations, self.warm_up, self.device = iterations, WARM_UP + workers, device
        self.first: Optional[float] = None  # end of the first iteration
        self.start: Optional[float] = None
        self.last, self.clips, self.done = 0.0, 0, 0

    @property
    def rate(self) -> float:
        """Clips per second."""
        return self.clips / (self.last - self.start)

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Read the clock; this hook comes last."""
        self.done += 1
        now = time.perf_counter()
        self.first = now if self.first is None else self.first
        if self.start is not None:
            self.clips, self.last = self.clips + len(data_batch['inputs']), now
            if self.done == self.warm_up + self.iterations or now - self.start > RUN_SECONDS:
                self._end()
        elif self.done == self.warm_up or (self.done >= WARM_UP and now - self.first > RUN_SECONDS):
            wait_for(self.device)
            self.warm_up, self.start = self.done, time.perf_counter()

    def after_train_epoch(self, runner: Any) -> None:
        """End the training; what happens between epochs is not measured.

        Raises:
            ValueError: the epoch was too short.
        """
        if not self.clips:
            raise ValueError(f'the first epoch has {self.done} batches, but {WARM_UP + 1} are the least for end2end, '
                             'and more with many workers; use a smaller --batch or --num-workers')
        self._end()

    def _end(self) -> None:
        wait_for(self.device)
        raise StretchEnd


def train_a_while(config: Config, hook: Hook) -> None:
    """Train a config from the start as tools/train.py does, until ``hook`` raises ``StretchEnd``.

    Nothing is validated, saved or logged to the screen; the hook comes after all others.
    """
    with tempfile.TemporaryDirectory(prefix='benchmark-') as folder:
        runner = Runner.from_cfg(quiet_config(config, folder))
        runner.register_hook(hook, 'LOWEST')
        try:
            runner.train()
        except StretchEnd:
            pass
        finally:
            for handler in list(runner.logger.handlers):
                if isinstance(handler, logging.FileHandler):
                    handler.close()
                    runner.logger.removeHandler(handler)
            del runner
            gc.collect()  # ends the workers of the loader


def quiet_config(config: Config, folder: str) -> Config:
    """Return a copy of a config that only trains, and writes to ``folder`` whatever it must."""
    config = copy.deepcopy(config)
    for stage in ('val', 'test'):
        for name in ('dataloader', 'cfg', 'evaluator'):
            config[f'{stage}_{name}'] = None
    hooks = config.get('default_hooks') or {}
    config.default_hooks = dict(hooks, checkpoint=None)
    config.custom_hooks = [hook for hook in config.get('custom_hooks') or ()
                           if str(hook['type']).split('.')[-1] != 'CheckpointHook']
    config.merge_from_dict(dict(work_dir=folder, load_from=None, resume=False, log_level='ERROR', launcher='none'))
    config.experiment_name = f'benchmark-{next(_numbers)}'
    return config


def runner_speed(config: Config, *, iterations: int, device: str) -> float:
    """Return clips per second of a real training, counted from the end of one iteration to the end of the next."""
    timer = StretchTimer(iterations, workers=config.train_dataloader.get('num_workers', 0), device=device)
    train_a_while(config, timer)
    return timer.rate


class StepWatch(Hook):
    """Call a function after each of some iterations, then end the training."""

    def __init__(self, iterations: int, call: Callable[[Sequence], None]) -> None:
        self.left, self.call = iterations, call

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Call it with the batch."""
        self.call(data_batch)
        self.left -= 1
        if not self.left:
            raise StretchEnd
