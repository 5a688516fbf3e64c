"""A switch that leaves every fused kernel out, for comparisons with plain PyTorch."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_state = dict(is_plain=False)


@contextmanager
def plain_kernels() -> Iterator[None]:
    """Run the layers by plain matrix products, in the whole process: autograd computes in threads of its own."""
    before, _state['is_plain'] = _state['is_plain'], True
    try:
        yield
    finally:
        _state['is_plain'] = before


def is_plain() -> bool:
    """Tell whether the layers must do without fused kernels."""
    return _state['is_plain']
