"""Which of several equal kernels runs, by device, dtype and shape; the choices were measured (``docs/performance.md``).

Fast paths compute what plain PyTorch does, within rounding. ``plain_kernels`` turns all of them off, for comparisons.
"""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

_state = {'plain': False}


@contextmanager
def plain_kernels() -> Iterator[None]:
    """Run plain matrix products, attention and elementwise operators only, one by one, as a simple script does."""
    before, _state['plain'] = _state['plain'], True
    try:
        yield
    finally:
        _state['plain'] = before


def is_plain() -> bool:
    """Whether ``plain_kernels`` is entered."""
    return _state['plain']


def runs_on_onednn(tokens: Tensor) -> bool:
    """Whether oneDNN's linear map may be called directly with ``tokens``.

    PyTorch multiplies float32 matrices on CPUs with another library, which took up to 1.5 times as long for the shapes
    of this package. Compilers and tracers are left the plain operator, which they know.
    """
    if _is_compiling() or is_plain() or not tokens.is_cpu or not torch._C._get_mkldnn_enabled():
        return False
    is_ordinary = type(tokens) in (Tensor, torch.nn.Parameter)  # not one that only records shapes
    return is_ordinary and torch.backends.mkldnn.is_available() and not torch.jit.is_tracing() and not _is_transformed()


def _is_compiling() -> bool:
    return getattr(torch.compiler, 'is_compiling', torch._utils.is_compiling)()


def _is_transformed() -> bool:
    """Whether ``torch.func`` is at work, whose tensors the operators of oneDNN do not know."""
    return torch._C._functorch.peek_interpreter_stack() is not None
