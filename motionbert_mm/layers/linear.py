"""Linear maps of tokens, by the faster of two libraries."""
from __future__ import annotations

from typing import Any, Optional

import torch
import torch.nn.functional as F
from mmengine.utils import digit_version
from torch import Tensor, nn

from motionbert_mm.layers.kernels import is_compiling, runs_on_onednn

ACTIVATIONS = {'gelu': F.gelu, 'relu': F.relu}  # the name is that of oneDNN too
# Whether torch.compile reads gradients of one's own; torch 2.1 does not, 2.8 is the oldest that was seen to.
COMPILES_GRADIENTS = digit_version(torch.__version__) >= digit_version('2.8')
LEAST_WORK = 2 ** 21  # multiplications below which the call itself costs more than it saves


class Linear(nn.Linear):
    """``nn.Linear`` of many tokens, with an activation where it is wanted.

    Same parameters, same values within rounding.
    """

    def forward(self, tokens: Tensor, activation: Optional[str] = None) -> Tensor:
        """Map tokens (..., D) -> (..., D').

        Args:
            tokens: the input.
            activation: of ``ACTIVATIONS``, applied to the output.
        """
        return linear(tokens, self.weight, self.bias, activation)


def linear(tokens: Tensor, weight: Tensor, bias: Optional[Tensor] = None, activation: Optional[str] = None) -> Tensor:
    """Map tokens (..., D) by weight (D', D) and bias (D',), then apply an activation of ``ACTIVATIONS``.

    Under autocast in its dtype, like ``F.linear``.
    """
    if not runs_on_onednn(tokens) or tokens.numel() * len(weight) < LEAST_WORK:
        return _map_plainly(tokens, weight, bias, activation)
    dtype = _product_dtype(tokens, weight)
    if dtype not in (torch.float32, torch.bfloat16):
        return _map_plainly(tokens, weight, bias, activation)
    tokens, weight, bias = tokens.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
    learns = torch.is_grad_enabled() and any(each is not None and each.requires_grad
                                             for each in (tokens, weight, bias))
    if not learns:
        return _map(tokens, weight, bias, activation)
    if is_compiling() and not COMPILES_GRADIENTS:
        return _map_plainly(tokens, weight, bias, activation)
    if activation == 'relu':  # whose gradient follows from its output
        return _Linear.apply(tokens, weight, bias, activation)
    mapped = _Linear.apply(tokens, weight, bias, None)
    return ACTIVATIONS[activation](mapped) if activation else mapped


def _map_plainly(tokens: Tensor, weight: Tensor, bias: Optional[Tensor], activation: Optional[str]) -> Tensor:
    mapped = F.linear(tokens, weight, bias)
    return ACTIVATIONS[activation](mapped) if activation else mapped


def _product_dtype(tokens: Tensor, weight: Tensor) -> torch.dtype:
    """Return the type that PyTorch would multiply in: that of the tokens, or the one of autocast."""
    if is_compiling():  # which cannot ask autocast, but knows what a product without rows would be
        return (tokens.new_empty(0, weight.shape[1]) @ weight.t()).dtype
    return torch.get_autocast_cpu_dtype() if torch.is_autocast_cpu_enabled() else tokens.dtype


def _map(tokens: Tensor, weight: Tensor, bias: Optional[Tensor], activation: Optional[str] = None) -> Tensor:
    # Inductor would read oneDNN's operator itself, and takes it for constant weights only.
    call = torch.ops.motionbert_mm.linear if is_compiling() else _call_onednn
    return call(tokens, weight, bias, activation or 'none')


def _call_onednn(tokens: Tensor, weight: Tensor, bias: Optional[Tensor], activation: str) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(tokens, weight, bias, activation, [],
                                              'none' if activation == 'gelu' else '')


OPERATORS = torch.library.Library('motionbert_mm', 'DEF')
OPERATORS.define('linear(Tensor tokens, Tensor weight, Tensor? bias, str activation) -> Tensor')
OPERATORS.impl('linear', _call_onednn, 'CPU')
OPERATORS.impl('linear', lambda tokens, weight, *_: tokens.new_empty(*tokens.shape[:-1], len(weight)), 'Meta')


class _Linear(torch.autograd.Function):
    """The map with its gradients; that of the weight, a short wide product, is faster in PyTorch's own library."""

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, weight: Tensor, bias: Optional[Tensor], activation: Optional[str]) -> Tensor:
        """Map tokens (..., D) -> (..., D'), with 'relu' or no activation."""
        mapped = _map(tokens, weight, bias, activation)
        ctx.save_for_backward(tokens, weight, mapped if activation else None)
        ctx.has_bias = bias is not None
        return mapped

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Optional[Tensor], Optional[Tensor], Optional[Tensor], None]:
        """Return the gradients of tokens, weight and bias."""
        tokens, weight, rectified = ctx.saved_tensors
        if rectified is not None:
            gradient = torch.ops.aten.threshold_backward(gradient, rectified, 0)
        rows = gradient.flatten(0, -2)
        of_tokens = linear(gradient, weight.t()) if ctx.needs_input_grad[0] else None
        of_weight = rows.t() @ tokens.flatten(0, -2) if ctx.needs_input_grad[1] else None
        of_bias = rows.sum(dim=0) if ctx.has_bias and ctx.needs_input_grad[2] else None
        return of_tokens, of_weight, of_bias, None
