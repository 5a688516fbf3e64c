"""Floating-point operations of one step of a model on a batch; a part of benchmark.py.

Matrix products and convolutions count, attention included; norms, activations and additions do not. The network is
what is counted, not how it is computed: neither fused kernels, mixed precision nor compiling change the number, and
what is computed twice to save memory counts once.
"""
from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from get_flops import attention_formulas, countable_operators
from motionbert_mm.layers.kernels import plain_kernels
from motionbert_mm.registry import MODELS, build


def count_step(config: Mapping, batch: dict, *, is_training: bool, device: str = 'cpu') -> float:
    """Count one step of the model of a config.

    Args:
        config: a whole config.
        batch: as the data loader makes it.
        is_training: count forward and backward pass; else the prediction, without flip averaging.
        device: for models that need values to be counted.

    Returns:
        Floating-point operations of the whole batch; a multiplication and an addition are two.
    """
    try:
        # Shapes are mostly enough: nothing is computed and no memory taken, so that plain attention fits too.
        with plain_kernels():
            return _count(plain_model(config).to('meta'), batch, is_training)
    except (NotImplementedError, RuntimeError, TypeError, ValueError):
        with countable_operators():
            return _count(plain_model(config).to(device), batch, is_training)


def plain_model(config: Mapping) -> nn.Module:
    """Build the model of a config, not compiled and without flip averaging."""
    model = copy.deepcopy(config['model'].to_dict() if hasattr(config['model'], 'to_dict') else dict(config['model']))
    model.pop('compile', None)
    built = build(MODELS, model)
    built.flip_test = False
    return built


def _count(model: nn.Module, batch: dict, is_training: bool) -> float:
    model.train(is_training)
    with FlopCounterMode(display=False, custom_mapping=attention_formulas()) as counter:
        if is_training:
            data = model.data_preprocessor(batch, True)
            loss, _ = model.parse_losses(model(**data, mode='loss'))
            loss.backward()
        else:
            with torch.no_grad():
                model.test_step(batch)
    return float(counter.get_total_flops())
