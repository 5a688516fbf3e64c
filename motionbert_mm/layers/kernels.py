"""Which of several equal kernels runs, by device, dtype and shape; the choices were measured (``docs/performance.md``).

Fast paths compute what plain PyTorch does, within rounding. ``plain_kernels`` turns all of them off, for comparisons.
"""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

HAS_ONEDNN = torch.backends.mkldnn.is_available()
_state = {'plain': False}


@contextmanager
def plain_kernels() -> Iterator[None]:
    """Run plain matrix products, attention and elementwise operators only, one by one, as a simple script does.

    In the whole process, since autograd computes in threads of its own.
    """
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
    of this package. Tracers are left the plain operator, which they know; compilers know both.
    """
    if is_compiling():
        return HAS_ONEDNN and tokens.is_cpu
    return (HAS_ONEDNN and tokens.is_cpu and is_ordinary(tokens) and not is_plain()
            and torch._C._get_mkldnn_enabled())


def is_compiling() -> bool:
    """Whether ``torch.compile`` reads the code at this moment."""
    return getattr(torch.compiler, 'is_compiling', torch._utils.is_compiling)()


def is_ordinary(values: Tensor) -> bool:
    """Whether values are computed now: no compiler, tracer or ``torch.func`` is at work, and they are numbers."""
    return (not is_compiling() and type(values) in (Tensor, torch.nn.Parameter)
            and not torch.jit.is_tracing() and torch._C._functorch.peek_interpreter_stack() is None)
