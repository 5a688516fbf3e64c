"""Checkpoints that hold nothing but tensors and plain containers."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer, MMLogger
from torch import nn

from motionbert_mm.checkpoints.load import DATA_FACTS, META_KEY, choose_steps, compare_states, match_report
from motionbert_mm.checkpoints.plain import to_plain
from motionbert_mm.checkpoints.transfer import fit_branches
from motionbert_mm.datasets.base import change_steps
from motionbert_mm.registry import HOOKS


@HOOKS.register_module()
class PlainCheckpointHook(Hook):
    """Write checkpoints that ``torch.load(..., weights_only=True)`` reads, and say in them what they are.

    MMEngine stores its log history as ``HistoryBuffer`` objects, which torch >= 2.6 refuses to load, so that
    its Runner cannot resume from its own file. This hook stores their content as tensors and restores the
    objects after loading. It also notes the model, the test pipeline, the skeleton, and classes and windows of the
    training data under ``meta['motionbert_mm']``, so that inference needs no config file; parts of a model with
    ``own_config``, which stands for files that they read, have that in their place.

    MMEngine loads what fits and only logs what does not. This hook refuses to resume a run with another
    architecture, and to start from a file of which nothing fits; of what else fits in part, as pretrained weights do
    where the heads change, it reports how much of each part of the model was found.
    """

    priority = 'VERY_LOW'

    def before_save_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Replace objects by plain data and add the description of the model."""
        description = describe_config(runner.cfg.to_dict())
        _include_files(description['model'], getattr(runner.model, 'module', runner.model))
        checkpoint['meta'][META_KEY] = {**description, **_data_facts(runner)}
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
        if not runner._resume and 'state_dict' in checkpoint:
            model = getattr(runner.model, 'module', runner.model)
            checkpoint['state_dict'] = fit_branches(checkpoint['state_dict'], model.state_dict())
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
    if not runner._resume:
        MMLogger.get_current_instance().info(match_report(expected, got))


def describe_config(config: dict) -> dict:
    """Return the parts of a config that inference needs: model, windows, the test (or training) pipeline, and masks."""
    loader = config.get('test_dataloader') or config.get('train_dataloader') or {}
    dataset = loader.get('dataset', {})
    training = (config.get('train_dataloader') or {}).get('dataset', {})
    return dict(model=config['model'], window=dataset.get('window', {}), pipeline=_steps(dataset),
                trained_mask=choose_steps(all_steps(training), 'mask'))


def _include_files(config: dict, model: nn.Module) -> None:
    """Put what parts of a model have read from files, as the vocabulary of texts, into their places in its config."""
    for name, part in model.named_modules():
        if hasattr(part, 'own_config'):
            place = config
            *parents, last = name.split('.')
            for parent in parents:
                place = place[parent]
            place[last] = part.own_config


def _data_facts(runner: Any) -> dict:
    """Return what inference needs to know of the training data, as far as these say it."""
    metainfo = getattr(getattr(runner.train_dataloader, 'dataset', None), 'metainfo', {})
    return {name: metainfo[name] for name in DATA_FACTS if name in metainfo}


def all_steps(dataset: Mapping) -> list:
    """Return the configs of the transforms of a data set, those of the data sets that it is made of included."""
    parts = (dataset.get('datasets') or {}).values()
    return [*_steps(dataset), *(step for part in parts for step in all_steps(part))]


def _steps(dataset: Mapping) -> list:
    return change_steps(dataset.get('pipeline', []), dataset.get('pipeline_changes'))


def _without_functions(state: Any) -> Any:
    """Leave out the functions in the state of schedulers (OneCycleLR), which loading then leaves as they are."""
    if isinstance(state, dict):
        return {key: _without_functions(value) for key, value in state.items() if not callable(value)}
    return [_without_functions(entry) for entry in state] if isinstance(state, list) else state
