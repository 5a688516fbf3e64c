"""The text encoder of the model, lent to the metrics."""
from __future__ import annotations

from functools import partial
from typing import Any

from mmengine.hooks import Hook

from motionbert_mm.engine.texts import encode_texts, find_text_head
from motionbert_mm.registry import HOOKS


@HOOKS.register_module()
class TextEncoderHook(Hook):
    """Let metrics that compare motions with texts (``encode_texts``) embed texts by the model that is measured.

    Other metrics, and models without text, stay as they are.

    Raises:
        ValueError: before the data are read, a metric that needs texts of a model that knows none.
    """

    def before_val(self, runner: Any) -> None:
        """Lend the encoder to the metrics of validation."""
        self._lend(runner, runner.val_loop)

    def before_test(self, runner: Any) -> None:
        """Lend the encoder to the metrics of the test."""
        self._lend(runner, runner.test_loop)

    def _lend(self, runner: Any, loop: Any) -> None:
        model = getattr(runner.model, 'module', runner.model)
        for metric in loop.evaluator.metrics:
            if hasattr(metric, 'encode_texts'):
                metric.encode_texts = partial(encode_texts, model, find_text_head(model, 'the config'))
