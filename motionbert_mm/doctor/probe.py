"""Run in a process of its own: import modules, or ask which run-time repairs are needed, and print what happened.

A line of the answer is ``MARK`` and JSON, because what is imported may print as well.
"""
from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Sequence
from typing import Any

MARK = 'motionbert_mm.doctor '


def tell(**answer: Any) -> None:
    """Print one line of the answer."""
    print(MARK + json.dumps(answer), flush=True)


def import_until_failure(modules: Sequence[str], with_repairs: bool) -> None:
    """Import modules one after the other; after a failure others would fail for its sake, so it is the last."""
    if with_repairs:
        repair_before_import()
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception as error:
            tell(module=module, error=f'{type(error).__name__}: {error}')
            return
        tell(module=module, error=None)


def repair_before_import() -> None:
    """Apply the repairs without which a host cannot be imported."""
    try:
        from motionbert_mm.integrations.compat import REPAIRS, apply_repairs
        apply_repairs(repair.name for repair in REPAIRS if not repair.before_import)
    except ImportError:  # of torch or MMEngine, which are among the modules
        return


def ask_repairs() -> None:
    """Say which repairs are needed, and how torch was built."""
    import torch

    from motionbert_mm.integrations.compat import REPAIRS, is_needed
    tell(needed=[repair.name for repair in REPAIRS if is_needed(repair)], cuda=torch.version.cuda,
         has_gpu=torch.cuda.is_available())


if __name__ == '__main__':
    if sys.argv[1] == 'repairs':
        ask_repairs()
    else:
        import_until_failure(sys.argv[2:], with_repairs=sys.argv[1] == 'repaired')
