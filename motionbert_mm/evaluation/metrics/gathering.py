"""Gather what a metric collected, whatever the number of processes and the sampler."""
from __future__ import annotations

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
