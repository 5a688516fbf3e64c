"""MMEngine's logger for distributed tests."""
from __future__ import annotations

from typing import Any, Optional

from mmengine.dist import master_only
from mmengine.hooks import LoggerHook

from motionbert_mm.registry import HOOKS


@HOOKS.register_module()
class MainProcessLoggerHook(LoggerHook):
    """MMEngine's ``LoggerHook``, whose processes do not write over each other.

    There every process of a test writes its metrics to the one file of the run, at the same time, which can
    leave a file that is no JSON. Here the main process does; arguments are those of ``LoggerHook``.
    """

    @master_only
    def after_test_epoch(self, runner: Any, metrics: Optional[dict] = None) -> None:
        """Log the metrics and write them."""
        super().after_test_epoch(runner, metrics)
