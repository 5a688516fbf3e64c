"""Measure one-shot recognition without a model: the nearest neighbour of raw poses, by the OneShotMetric of a config.

The embedding of a clip is its network input: x and y of all joints, relative to the root of each frame, of the whole
clip brought to the number of frames of a window (a test window that is only a part of a clip is replaced by that). Each
person is scaled to the same size. Persons that are absent, joints that were not seen, and frames whose root was not
seen are zero. Exemplars, draws, rule and averages are those of the metric; printed beside it is what guessing gives.

Example:
    one_shot_baseline.py configs/action/CONFIG.py --json baseline.json
"""
from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from mmengine.config import Config, DictAction
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch import Tensor
from tqdm import tqdm

from motionbert_mm.engine.command_line import one_line_errors, read_config
from motionbert_mm.evaluation.metrics import OneShotMetric
from motionbert_mm.evaluation.metrics.class_report import ClassReport
from motionbert_mm.evaluation.metrics.report import format_table
from motionbert_mm.geometry.coords import root_relative
from motionbert_mm.io.atomic import atomic_path
from motionbert_mm.registry import METRICS, SCOPE, build
from motionbert_mm.structures.skeleton import get_skeleton

WHOLE_CLIP = ('resample', 'uniform')  # kinds of windows


def raw_pose(inputs: Tensor, root: int) -> Tensor:
    """Make vectors of network inputs.

    Args:
        inputs: (B, M, T, J, C) coordinates and, last, confidence.
        root: index of the root joint.

    Returns:
        (B, M * T * J * (C - 1)), every person with a mean square of 1 over the joints that were seen, or zero.
    """
    seen = (inputs[..., -1:] > 0) & (inputs[..., root:root + 1, -1:] > 0)  # (B, M, T, J, 1)
    points = root_relative(inputs[..., :-1].double(), root) * seen
    counts = seen.sum(dim=(2, 3, 4), keepdim=True).clamp(min=1)
    size = (points.square().sum(dim=(2, 3, 4), keepdim=True) / counts).sqrt()
    return (points / size.clamp(min=1e-9)).flatten(1)


def make_metric(config: Config) -> OneShotMetric:
    """Build the ``OneShotMetric`` of a config's test.

    Raises:
        ValueError: the config has none.
    """
    evaluators = config.get('test_evaluator') or ()
    evaluators = [evaluators] if isinstance(evaluators, Mapping) else evaluators
    chosen = [entry for entry in evaluators if entry['type'].rpartition('.')[2] == 'OneShotMetric']
    if not chosen:
        found = ', '.join(entry['type'] for entry in evaluators) or 'nothing'
        raise ValueError(f'{config.filename} is tested by {found}; this baseline needs its OneShotMetric')
    return build(METRICS, dict(chosen[0]))


def make_loader(config: Config) -> Any:
    """Build the loader of a config's test data, a whole clip in each window.

    Raises:
        ValueError: no test data, or data whose windows are set elsewhere.
    """
    dataset = (config.get('test_dataloader') or {}).get('dataset') or {}
    if not dataset.get('window'):
        raise ValueError(f'{config.filename} has no test_dataloader.dataset.window; expected one data set of clips, '
                         f'got {dataset.get("type")}')
    if dataset.window.get('kind') not in WHOLE_CLIP:
        dataset.window = dict(kind='resample', num_frames=dataset.window.num_frames)
    return Runner.build_dataloader(config.test_dataloader, seed=0)


def measure(config: Config) -> ClassReport:
    """Recognise the test clips of a config by their raw poses."""
    metric = make_metric(config)
    with DefaultScope.overwrite_default_scope(config.get('default_scope', SCOPE)):
        loader = make_loader(config)
        metric.dataset_meta = loader.dataset.metainfo
        for batch in tqdm(loader, desc=Path(config.filename).stem, unit='batch', disable=None):
            root = get_skeleton(batch['data_samples'].metainfo['skeleton']).root
            metric.process(batch, [{'embedding': vector} for vector in raw_pose(batch['inputs'], root)])
    return metric.report(metric.results)


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='path of a config file that tests by OneShotMetric')
    parser.add_argument('--json', type=Path, metavar='OUT', help='write the metrics and the chance level')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override entries of the config')
    args = parser.parse_args(arguments)
    with one_line_errors():
        report = measure(read_config(args.config, args.cfg_options))
        if args.json is not None:
            with atomic_path(args.json) as work:
                work.write_text(json.dumps({**report.metrics, 'chance': report.chance}, indent=1))
        print(report.table, report.protocol, sep='\n\n')
        columns = list(report.metrics)
        print('\n' + format_table(['', *columns], [
            ['raw pose', *report.metrics.values()],
            ['chance', *(report.chance if name in ('accuracy', 'mean_class') else '-' for name in columns)]]))


if __name__ == '__main__':
    main()
