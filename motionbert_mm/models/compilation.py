"""Parts of a model compiled by ``torch.compile``."""
from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from typing import Union

import torch
from torch import nn

from motionbert_mm.registry import refuse_unknown_keys

# What inductor calls where CXX does not name another.
CPU_COMPILERS = dict(darwin='clang++', win32='cl')


def compile_parts(parts: Iterable[nn.Module], options: Union[dict, bool]) -> None:
    """Compile modules in place, at their first call; names, state dicts and copies stay those of plain modules.

    Args:
        parts: modules.
        options: True, or arguments of ``torch.compile`` such as ``mode``, ``dynamic`` and ``backend``.

    Raises:
        TypeError: other options.
        ValueError: this machine cannot compile: no C++ compiler where there is no GPU, or torch refuses.
    """
    if options is not True and not isinstance(options, dict):
        raise TypeError(f'model.compile is {options!r}, expected True, False or a dict of arguments of torch.compile')
    options = {} if options is True else options
    refuse_unknown_keys(options, torch.compile, 'model.compile', extra=('model',))
    if options.get('backend', 'inductor') == 'inductor':
        _check_compiler()
    for part in parts:
        try:
            part.compile(**options)
        except RuntimeError as error:  # e.g. of a Python that this torch cannot compile
            raise ValueError(f'torch.compile refuses: {error}; set model.compile=False') from error


def _check_compiler() -> None:
    """Look for the compiler without which the first call would end in a long traceback."""
    compiler = os.environ.get('CXX') or CPU_COMPILERS.get(sys.platform, 'g++')
    if not torch.cuda.is_available() and shutil.which(compiler) is None:
        raise ValueError(f'torch.compile needs a C++ compiler on CPUs, but there is no {compiler}; install it, name '
                         'another in the environment variable CXX, or set model.compile=False')
