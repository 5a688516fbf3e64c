"""What the command lines of training and testing share: reading a config, and errors in one line."""
from __future__ import annotations

import inspect
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Optional

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from motionbert_mm.datasets.windows import WindowPlan
from motionbert_mm.registry import check_arguments, refuse_unknown_keys

# What a user, a config or a file can cause; anything else is a bug and keeps its traceback.
EXPECTED = (OSError, KeyError, TypeError, ValueError)
# Entries that the Runner reads besides its own arguments.
RUNNER_EXTRAS = ('activation_checkpointing', 'compile', 'custom_imports', 'efficient_conv_bn_eval',
                 'find_unused_parameters', 'float32_matmul_precision', 'model_wrapper_cfg', 'sync_bn')


def read_config(path: str, options: Optional[Mapping[str, Any]] = None, *, work_dir: Optional[str] = None,
                launcher: str = 'none') -> Config:
    """Read a config file and apply the command line to it.

    Args:
        path: of the config file.
        options: dotted keys and values that override entries.
        work_dir: where logs and checkpoints go; None is that of the config, or ``work_dirs/<name of the file>``.
        launcher: how the processes of a distributed run are started.

    Raises:
        FileNotFoundError: no such file.
        KeyError: an option that nothing reads.
        TypeError: an argument that no class takes.
        ValueError: the file is not Python.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f'config {path} does not exist')
    try:
        config = Config.fromfile(path)
    except SyntaxError as error:
        raise ValueError(f'config {path} is not Python: {error}') from None
    check_options(options or {})
    config.merge_from_dict(dict(options or {}))
    check_arguments(config.to_dict())
    check_loaders(config)
    config.launcher = launcher
    name = os.path.splitext(os.path.basename(path))[0]
    config.work_dir = work_dir or config.get('work_dir') or os.path.join('work_dirs', name)
    return config


def check_options(options: Mapping[str, Any]) -> None:
    """Refuse overrides that would change nothing: of helper variables of a config file, or with a typing error."""
    known = {*inspect.signature(Runner).parameters, *RUNNER_EXTRAS}
    for option in options:
        if option.split('.')[0] not in known:
            raise KeyError(f'--cfg-options {option} would change nothing: the Runner reads {", ".join(sorted(known))}; '
                           'variables of a config file are used up when it is read')


def check_loaders(config: Config) -> None:
    """Refuse keys of the data loaders and their windows that PyTorch and ``WindowPlan`` do not take."""
    for stage in ('train', 'val', 'test'):
        loader = config.get(f'{stage}_dataloader') or {}
        place = f'config.{stage}_dataloader'
        refuse_unknown_keys(loader, DataLoader, place, extra=('num_batch_per_epoch',))
        for inner, source in _sources(loader.get('dataset', {}), f'{place}.dataset'):
            refuse_unknown_keys(source.get('window', {}), WindowPlan, f'{inner}.window')


def _sources(dataset: Mapping[str, Any], place: str) -> Iterator[tuple[str, Mapping]]:
    """Yield place and config of a data set, or of all that it is mixed or joined of."""
    if not dataset.get('datasets'):
        yield place, dataset
    for name, source in (dataset.get('datasets') or {}).items():
        if source is not None:
            yield from _sources(source, f'{place}.datasets.{name}')


@contextmanager
def one_line_errors(work_dir: Optional[str] = None) -> Iterator[None]:
    """End the program with one line and exit status 1 for errors that a user, a config or a file can cause.

    Args:
        work_dir: takes the traceback as ``error.txt``, in case that it is a bug after all.
    """
    try:
        yield
    except EXPECTED as error:
        place = ''
        if work_dir is not None:
            os.makedirs(work_dir, exist_ok=True)
            path = os.path.join(work_dir, 'error.txt')
            with open(path, 'w', encoding='utf-8') as file:
                file.write(traceback.format_exc())
            place = f' (traceback in {path})'
        sys.exit(f'error: {describe_error(error)}{place}')


def check_device(name: Optional[str]) -> None:
    """Refuse a device that torch does not know or this machine does not have."""
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split('\n')[0].rstrip('.')
        raise ValueError(f'--device {name} is not available: {reason[:120]}; try --device cpu') from None


def describe_error(error: BaseException) -> str:
    """Return the message of an error in one line, also of one that a worker of a data loader sent."""
    is_quoted = isinstance(error, KeyError) and error.args and isinstance(error.args[0], str)
    text = error.args[0] if is_quoted else str(error)
    if text.startswith('Caught '):  # by torch, with the traceback of the worker before the message
        text = text.rsplit(f'\n{type(error).__name__}: ', 1)[-1]
    return ' '.join(text.split()) or type(error).__name__
