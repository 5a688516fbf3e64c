"""Measure mesh recovery without a network: one and the same body for all frames, by the MeshMetric of a config.

mean body        Every joint is turned as it is on average over all visible frames of the training data of CONFIG: by
                 the rotation of the least squared distance to all of them (chordal mean), relative to its parent, the
                 root's in camera axes. Shape coefficients are averaged.
mean parameters  Of the body model: what a network with a MeshHead starts from.

Windows, frames, joints and averages are those of the config's test. A trained network must do better than both.
On a GPU: --cfg-options test_evaluator.device=cuda.

Examples:
    mesh_baseline.py configs/mesh/CONFIG.py --csv baseline.csv
    mesh_baseline.py CONFIG.py --train-store data/3dpw/train
"""
from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch import Tensor
from tqdm import tqdm

from completion_baselines import CHUNK, as_poses, training_sources
from motionbert_mm.engine.command_line import one_line_errors, read_config
from motionbert_mm.evaluation.metrics import MeshMetric
from motionbert_mm.evaluation.metrics.report import Report, format_table
from motionbert_mm.geometry.rotation import average_rotations, axis_angle_to_matrix, rotation_6d_to_matrix
from motionbert_mm.io.tables import write_table
from motionbert_mm.models.body_model import BodyModel
from motionbert_mm.registry import DATASETS, METRICS, SCOPE, build

PARAMETERS = ('smpl_pose', 'smpl_betas')
MEASURED = ('MPVE', 'MPJPE', 'PA-MPJPE')


def mean_body(sources: Sequence[dict]) -> tuple[Tensor, Tensor]:
    """Average the bodies of all visible frames and persons of data sets.

    Args:
        sources: configs of data sets that give ``PARAMETERS``.

    Returns:
        rotations (24, 3, 3) and betas (10,), float32.

    Raises:
        ValueError: no visible frame.
    """
    rotations, betas, count = np.zeros((24, 3, 3)), np.zeros(10), 0
    for source in sources:
        dataset = build(DATASETS, source)
        for start in tqdm(range(0, len(dataset), CHUNK), desc='mean body', unit='batch', disable=None):
            batch = dataset.__getitems__(range(start, min(start + CHUNK, len(dataset))))
            counts = batch['visible'].any(axis=-1)
            rotations += axis_angle_to_matrix(batch['smpl_pose'][counts].astype(np.float64)).sum(axis=0)
            betas += batch['smpl_betas'][counts].astype(np.float64).sum(axis=0)
            count += counts.sum()
    if not count:
        raise ValueError('the training data have no visible frame; name a store that has by --train-store')
    mean = average_rotations(rotations[:, None]), betas / count  # the projection of a sum is that of its parts
    return tuple(torch.from_numpy(part).float() for part in mean)


def mean_parameters(body: BodyModel) -> tuple[Tensor, Tensor]:
    """Return the mean rotations (24, 3, 3) and betas (10,) of a body model."""
    return rotation_6d_to_matrix(body.mean_pose.unflatten(-1, (24, 6))), body.mean_betas


def pose_once(body: BodyModel, rotations: Tensor, betas: Tensor) -> dict[str, Tensor]:
    """Return vertices (V, 3) and joints (17, 3) mm of one body, as fields of a prediction."""
    with torch.inference_mode():
        vertices = body(rotations[None], betas[None])[0]
        return {'vertices': vertices, 'keypoints_3d': body.joints(vertices)}


def make_metric(config: Config) -> MeshMetric:
    """Build the ``MeshMetric`` of a config's test.

    Raises:
        ValueError: the config has none.
    """
    evaluators = config.get('test_evaluator') or ()
    evaluators = [evaluators] if isinstance(evaluators, Mapping) else evaluators
    chosen = [entry for entry in evaluators if entry['type'].rpartition('.')[2] == 'MeshMetric']
    if not chosen:
        found = ', '.join(entry['type'] for entry in evaluators) or 'nothing'
        raise ValueError(f'{config.filename} is tested by {found}; this baseline needs its MeshMetric')
    return build(METRICS, dict(chosen[0]))


def measure(config: Config, train_store: Optional[Path]) -> dict[str, Report]:
    """Put the mean bodies into all test frames of a config; return a report for each."""
    if not config.get('test_dataloader'):
        raise ValueError(f'{config.filename} has no test_dataloader; name a config that tests mesh recovery')
    with DefaultScope.overwrite_default_scope(config.get('default_scope', SCOPE)):
        metrics = {name: make_metric(config) for name in ('mean body', 'mean parameters')}
        sources = (training_sources(config, PARAMETERS, 'smpl_pose and smpl_betas') if train_store is None else
                   [as_poses(dict(type='MotionDataset', data_root=str(train_store)), PARAMETERS)])
        means = mean_body(sources), mean_parameters(metrics['mean parameters'].body)
        bodies = {name: pose_once(metric.body, *mean) for (name, metric), mean in zip(metrics.items(), means)}
        loader: Any = Runner.build_dataloader(config.test_dataloader, seed=0)
        for batch in tqdm(loader, desc=Path(config.filename).stem, unit='batch', disable=None):
            size, persons, frames = batch['inputs'].shape[:3]
            for name, metric in metrics.items():
                fields = {field: points.expand(persons, frames, -1, -1) for field, points in bodies[name].items()}
                metric.process(batch, [fields] * size)
    return {name: metric.report(metric.results) for name, metric in metrics.items()}


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', metavar='CONFIG', help='path of a config file that tests by MeshMetric')
    parser.add_argument('--train-store', type=Path, metavar='DIR',
                        help="motion store of the mean body (default: the config's training data)")
    parser.add_argument('--csv', type=Path, metavar='OUT', help='write the table')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override entries of the config')
    args = parser.parse_args(arguments)
    with one_line_errors():
        reports = measure(read_config(args.config, args.cfg_options), args.train_store)
        for name, report in reports.items():
            print(f'{name}: {report.protocol}')
        header = ['baseline', *MEASURED]
        rows = [[name, *(report.metrics[key] for key in MEASURED)] for name, report in reports.items()]
        print('\n' + format_table(header, rows))
        if args.csv is not None:
            write_table(args.csv, rows, header)
            print(f'wrote {args.csv}')


if __name__ == '__main__':
    main()
