"""Checkpoints that hold nothing but tensors and plain containers."""
from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer

from motionbert_mm.checkpoints.load import META_KEY, compare_states
from motionbert_mm.datasets.base import change_steps
from motionbert_mm.registry import HOOKS


@HOOKS.register_module()
class PlainCheckpointHook(Hook):
    """Write checkpoints that ``torch.load(..., weights_only=True)`` reads, and say in them what they are.

    MMEngine stores its log history as ``HistoryBuffer`` objects, which torch >= 2.6 refuses to load, so that
    its Runner cannot resume from its own file. This hook stores their content as tensors and restores the
    objects after loading. It also notes the model, the test pipeline and the skeleton under
    ``meta['motionbert_mm']``, so that inference needs no config file.

    MMEngine loads what fits and only logs what does not. This hook refuses to resume a run with another
    architecture, and to start from a file of which nothing fits.
    """

    priority = 'VERY_LOW'

    def before_save_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Replace objects by plain data and add the description of the model."""
        checkpoint['meta'][META_KEY] = describe_run(runner)
        if 'param_schedulers' in checkpoint:
            checkpoint['param_schedulers'] = _without_functions(checkpoint['param_schedulers'])
        for key in ('meta', 'message_hub', 'param_schedulers'):
            if key in checkpoint:
                checkpoint[key] = to_plain(checkpoint[key])

    def after_load_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Check the architecture, and make the log history what MMEngine expects.

        Raises:
            ValueError: the checkpoint is of another model.
        """
        _check_architecture(runner, checkpoint.get('state_dict', checkpoint))
        scalars = checkpoint.get('message_hub', {}).get('log_scalars', {})
        for name, value in scalars.items():
            if isinstance(value, dict):
                scalars[name] = HistoryBuffer(value['values'].tolist(), value['counts'].tolist(), value['max_length'])


def _check_architecture(runner: Any, state_dict: dict) -> None:
    model = getattr(runner.model, 'module', runner.model)
    expected = model.state_dict()
    got = {key[7:] if key.startswith('module.') else key: value for key, value in state_dict.items()}
    problems = compare_states(expected, got)
    has_match = any(key in got and got[key].shape == value.shape for key, value in expected.items())
    if problems and (runner._resume or not has_match):
        raise ValueError(f'the checkpoint is of another model than the config: {"; ".join(problems)}; go on with the '
                         'config of that run, or convert official weights with tools/model_converters/')


def describe_run(runner: Any) -> dict:
    """Return the configs that inference needs: model, windows and the test (or training) pipeline."""
    config = runner.cfg.to_dict()
    loader = config.get('test_dataloader') or config.get('train_dataloader') or {}
    dataset = loader.get('dataset', {})
    pipeline = change_steps(dataset.get('pipeline', []), dataset.get('pipeline_changes'))
    return dict(model=config['model'], window=dataset.get('window', {}), pipeline=pipeline)


def _without_functions(state: Any) -> Any:
    """Leave out the functions in the state of schedulers (OneCycleLR), which loading then leaves as they are."""
    if isinstance(state, dict):
        return {key: _without_functions(value) for key, value in state.items() if not callable(value)}
    return [_without_functions(entry) for entry in state] if isinstance(state, list) else state


def to_plain(value: Any) -> Any:
    """Return ``value`` with containers, numpy values and log histories made plain; text for what is unknown."""
    if isinstance(value, HistoryBuffer):
        values, counts = value.data
        return dict(values=torch.tensor(np.asarray(values, np.float64)), counts=torch.tensor(np.asarray(counts)),
                    max_length=value.max_length)
    if isinstance(value, dict):
        return {key: to_plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple, set)):
        return type(value)(to_plain(entry) for entry in value)
    if isinstance(value, (np.ndarray, np.generic)):
        return torch.from_numpy(value) if isinstance(value, np.ndarray) and value.dtype.kind in 'fiub' \
            else value.tolist()
    if value is None or isinstance(value, (bool, int, float, str, bytes, torch.Tensor)):
        return value
    return str(value)
