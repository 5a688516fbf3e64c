"""Hooks for the Runners of the hosts."""
from __future__ import annotations

from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.logging import MMLogger

from motionbert_mm.integrations.compat import apply_repairs
from motionbert_mm.registry import HOOKS


@HOOKS.register_module()
class HostRepairsHook(Hook):
    """Repair a host at run time, see ``motionbert_mm.integrations.compat``.

    Acts when it is built, at the end of the Runner's constructor: before any checkpoint is loaded (MMEngine's
    FlexibleRunner loads before it calls ``before_run``) and before workers are started, but after the host imported its
    models.

    Args:
        skip: names of repairs to leave out.
    """

    def __init__(self, skip: Sequence[str] = ()) -> None:
        self.applied = apply_repairs(skip)
        if self.applied:
            MMLogger.get_current_instance().info(f'HostRepairsHook repaired {", ".join(self.applied)}; '
                                                 'see docs/hosts.md')
