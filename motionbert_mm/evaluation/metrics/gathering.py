"""How a metric gets at the samples of a batch, and at what all processes collected, whatever the sampler."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.dist import broadcast_object_list, collect_results, get_world_size, is_main_process
from mmengine.evaluator import BaseMetric


class GatheringMetric(BaseMetric):
    """Base of the metrics that keep windows: ``compute_metrics`` gets those of all processes, copies included."""

    # Not None: MMEngine would warn at every construction.
    default_prefix = ''

    def evaluate(self, size: int) -> dict[str, float]:
        """Gather the windows of all processes and compute the result; every process returns it.

        Args:
            size: number of samples in the data set. Not used: copies that a sampler adds are known by their frames.
        """
        # One entry per process: MMEngine would cut the list to `size`, which is wrong for several persons, and to the
        # shortest process, which is wrong for a sampler that does not pad.
        parts = collect_results([self.results], get_world_size(), self.collect_device, **(
            {'tmpdir': self.collect_dir} if self.collect_device == 'cpu' else {}))
        metrics: list[Any] = [None]
        if is_main_process():
            values = self.compute_metrics([window for part in parts for window in part])
            metrics = [{f'{self.prefix}/{key}' if self.prefix else key: value for key, value in values.items()}]
        broadcast_object_list(metrics)
        self.results.clear()
        return metrics[0]


def pair_samples(data_batch: Mapping[str, Any], predictions: Sequence[Mapping[str, Any]],
                 metric: str) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Return each prediction of a batch with its ground truth, as dicts of fields and metainfo.

    Args:
        data_batch: ``data_samples`` of it is the ground truth, one batched MotionSample or a list of samples.
        predictions: one dict per sample, in the same order.
        metric: name of the metric, for messages.

    Raises:
        ValueError: predictions that are not those of the samples.
    """
    samples = data_batch['data_samples']
    samples = samples.unbind() if hasattr(samples, 'unbind') else samples
    targets = [sample.to_dict() if hasattr(sample, 'to_dict') else sample for sample in samples]
    if len(targets) != len(predictions):
        raise ValueError(f'{metric} got {len(predictions)} predictions for {len(targets)} samples; test_step must '
                         'return one MotionSample per sample of the batch')
    for prediction, target in zip(predictions, targets):
        name = target['sample_id']
        if prediction.get('sample_id', name) != name:
            raise ValueError(f'{metric} got the prediction for {prediction["sample_id"]} where the ground truth is of '
                             f'{name}; test_step must keep the order of the batch')
    return list(zip(predictions, targets))
