"""Measure motion completion without a trained completion model: mean pose, and linear interpolation.

Each CONFIG is a test config of completion: its test data have a mask, such as that of SampleJointGroups, and
Pose3DMetric measures. The baselines are given the same windows under the same masks and are measured by that metric.

mean pose      Hidden joints are where they are on average in the training data of CONFIG, relative to the root. Without
               3D input that is the whole pose.
interpolation  A joint that is hidden for some frames moves in a straight line between those that show it; one that is
               hidden in all frames is put on the line between its nearest seen joints along the skeleton, or at the
               nearest. 2D input is filled in that way and then lifted by --lifter, for interpolation gives no depth.

Printed are MPJPE over all joints, over the hidden ones and over the seen ones, and that of the completed pose, in mm.
--csv takes the same numbers for every group of the metric's first table too.

Examples:
    completion_baselines.py configs/completion/CONFIG.py --csv baselines.csv
    completion_baselines.py CONFIG_2D.py --lifter lifter.pth --train-store data/cmu --exclude '*/walking_3*'
"""
from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch import Tensor, nn
from tqdm import tqdm

from experiments import format_table
from motionbert_mm.checkpoints.load import load_model
from motionbert_mm.datasets.transforms import NormalizeCoords
from motionbert_mm.engine.command_line import check_device, one_line_errors, read_config
from motionbert_mm.evaluation.metrics import Pose3DMetric
from motionbert_mm.evaluation.metrics.report import Report
from motionbert_mm.geometry.coords import root_relative
from motionbert_mm.geometry.filling import interpolate_hidden
from motionbert_mm.geometry.targets import decode_target
from motionbert_mm.io.tables import write_table
from motionbert_mm.registry import DATASETS, METRICS, SCOPE, TRANSFORMS, build
from motionbert_mm.structures.motion_sample import MotionSample
from motionbert_mm.structures.skeleton import Skeleton, get_skeleton

POSES = ('keypoints_3d',)
MEASURED = ('MPJPE', 'MPJPE/hidden', 'MPJPE/seen', 'MPJPE/completed')
INPUTS = {3: '2D', 4: '3D'}  # by the channels: coordinates and confidence
CHUNK = 64  # frames and windows that the mean pose reads at a time
ROTATING = ('OrthographicView',)  # transforms after which poses have other directions than in their store


# --- Mean pose ---


def training_sources(config: Config, targets: Sequence[str] = POSES, what: str = '3D truth') -> list[dict]:
    """Return the configs of the data sets with 3D truth that a config trains on, each once.

    Args:
        config: of a training.
        targets: arrays that make the truth.
        what: they are, in words.

    Raises:
        ValueError: none, or views that are turned at random.
    """
    dataset = (config.get('train_dataloader') or {}).get('dataset') or {}
    sources = [source for source in _leaves(dataset) if set(targets) <= set(source.get('targets', POSES))]
    steps = {step['type'].rpartition('.')[2] for source in sources for step in source.get('pipeline', ())}
    if not sources or steps & set(ROTATING):
        reason = f'are seen through {", ".join(sorted(steps & set(ROTATING)))}' if sources else f'have no {what}'
        raise ValueError(f'the mean pose needs poses in camera axes, but the training data of {config.filename} '
                         f'{reason}; name a store by --train-store')
    readable = [as_poses(source, targets) for source in sources]
    return [source for number, source in enumerate(readable) if source not in readable[:number]]


def _leaves(dataset: Mapping[str, Any]) -> Iterator[dict]:
    """Yield the data sets that a mixture is made of, at any depth."""
    if not dataset.get('datasets'):
        if dataset:
            yield dict(dataset)
        return
    for source in dataset['datasets'].values():
        yield from _leaves(source)


def as_poses(source: Mapping[str, Any], targets: Sequence[str] = POSES) -> dict:
    """Change the config of a data set so that it gives ``targets`` of every frame once, as they are in the store."""
    unused = ('pipeline', 'pipeline_changes', 'valid_only', 'test_mode', 'seed', 'window', 'targets', 'input_2d')
    kept = {name: value for name, value in source.items() if name not in unused}
    steps = [step for step in source.get('pipeline', ()) if step['type'].rpartition('.')[2] == 'ConvertSkeleton']
    return dict(kept, input_2d=None, targets=list(targets), pipeline=steps,
                window=dict(num_frames=CHUNK, tail='pad'))


def mean_pose(sources: Sequence[dict], skeleton: Skeleton) -> np.ndarray:
    """Average poses relative to the root over all visible frames and persons of data sets: (J, 3) mm.

    Raises:
        ValueError: another skeleton, or a joint that is never visible.
    """
    total, count = np.zeros((skeleton.num_joints, 3)), np.zeros(skeleton.num_joints)
    for source in sources:
        dataset = build(DATASETS, source)
        for start in tqdm(range(0, len(dataset), CHUNK), desc='mean pose', unit='batch', disable=None):
            batch = dataset.__getitems__(range(start, min(start + CHUNK, len(dataset))))
            if batch['skeleton'] != skeleton.name:
                raise ValueError(f'the training data have skeleton {batch["skeleton"]!r}, the test data '
                                 f'{skeleton.name!r}; name a store of the latter by --train-store')
            points, visible = batch['keypoints_3d'].astype(np.float64), batch['visible']
            counts = visible & visible[..., skeleton.root, None]
            total += np.where(counts[..., None], root_relative(points, skeleton.root), 0.0).sum(axis=(0, 1, 2))
            count += counts.sum(axis=(0, 1, 2))
    if not count.all():
        raise ValueError(f'the training data never show {skeleton.joints[int(np.argmin(count))]}; name a store that '
                         'does by --train-store')
    return total / count[:, None]


# --- Baselines ---


class Baselines:
    """The guesses of all baselines for the batches of one config.

    Args:
        pose: (J, 3) mm, relative to the root.
        skeleton: joint set of ``pose`` and of the batches.
        lifter: lifts 2D that was filled in; None leaves interpolation of 2D out.
    """

    def __init__(self, pose: np.ndarray, skeleton: Skeleton, lifter: Optional[nn.Module] = None) -> None:
        self.pose, self.skeleton, self.lifter = torch.from_numpy(pose.astype(np.float32)), skeleton, lifter

    def predict(self, inputs: Tensor, samples: MotionSample) -> dict[str, list[dict]]:
        """Guess the poses of a batch from what the mask leaves of its inputs.

        Args:
            inputs: (B, M, T, J, 3) 2D poses or (B, M, T, J, 4) 3D poses, with confidence.
            samples: ``mask`` (B, M, T, J), if anything is hidden, and metainfo.

        Returns:
            by baseline, the samples with ``keypoints_3d`` in mm, as a metric takes them.
        """
        mask = samples.mask if 'mask' in samples else torch.zeros(inputs.shape[:-1], dtype=torch.bool)
        filled = interpolate_hidden(inputs.flatten(0, 1).numpy(), mask.flatten(0, 1).numpy(), self.skeleton.limbs)
        filled = torch.from_numpy(filled).reshape(inputs.shape)
        if INPUTS[inputs.shape[-1]] == '3D':
            # Hidden joints of the inputs are not read: they were replaced.
            points = decode_target(filled[..., :3], samples.metainfo['norm'], self.skeleton.legs)
            return {'mean pose': _as_samples(torch.where(mask[..., None], self.pose, points), samples),
                    'interpolation': _as_samples(points, samples)}
        guesses = {'mean pose': _as_samples(self.pose.expand(*mask.shape, 3), samples)}
        if self.lifter is not None:
            whole = MotionSample(metainfo=dict(samples.metainfo_items()),
                                 **{name: value for name, value in samples.items() if name != 'mask'})
            with torch.inference_mode():
                lifted = self.lifter.test_step(dict(inputs=filled, data_samples=whole))
            guesses['interpolation, lifted'] = [sample.to_dict() for sample in lifted]
        return guesses


def _as_samples(points: Tensor, samples: MotionSample) -> list[dict]:
    """Split poses (B, M, T, J, 3) mm into one prediction for each sample of a batch."""
    batch = MotionSample(metainfo=dict(samples.metainfo_items()), keypoints_3d=points)
    return [sample.to_dict() for sample in batch.unbind()]


def load_lifter(path: Path, device: Optional[str], pipeline: Sequence[Any], flip_test: bool) -> nn.Module:
    """Build the lifter of a checkpoint for batches that a test pipeline makes.

    Raises:
        ValueError: see ``load_model``; or a lifter of other inputs or targets than the pipeline makes.
    """
    model, info = load_model(path, device)
    own, given = (_normalisation(steps) for steps in ([build(TRANSFORMS, step) for step in info['input']], pipeline))
    if own != given:
        raise ValueError(f'{path} was trained with NormalizeCoords({_words(own)}), the test data are made with '
                         f'NormalizeCoords({_words(given)}); name a lifter of the same inputs and targets')
    model.flip_test = flip_test
    return model


def _normalisation(steps: Sequence[Any]) -> dict[str, Any]:
    """What a pipeline's NormalizeCoords makes of pixels and millimetres."""
    names = ('inputs', 'target', 'unit_mm', 'given_2d')
    return next(({name: getattr(step, name) for name in names} for step in steps if isinstance(step, NormalizeCoords)),
                {})


def _words(options: Mapping[str, Any]) -> str:
    return ', '.join(f'{name}={value!r}' for name, value in options.items())


# --- Measuring ---


def make_metric(config: Config) -> Pose3DMetric:
    """Build the ``Pose3DMetric`` of a config's test."""
    evaluators = config.test_evaluator
    evaluators = [evaluators] if isinstance(evaluators, Mapping) else evaluators
    chosen = [entry for entry in evaluators if entry['type'].rpartition('.')[2] == 'Pose3DMetric']
    if not chosen:
        raise ValueError(f'{config.filename} is tested by {", ".join(entry["type"] for entry in evaluators)}; '
                         'completion is measured by Pose3DMetric')
    return build(METRICS, dict(chosen[0]))


def make_loader(config: Config) -> Any:
    """Build the loader of a config's test data, with the batches on which its masks depend.

    Raises:
        ValueError: data that would be hidden otherwise in another run.
    """
    missing = [name for name in ('test_dataloader', 'test_evaluator') if not config.get(name)]
    if missing:
        raise ValueError(f'{config.filename} has no {", ".join(missing)}; name a config that tests completion')
    loader = Runner.build_dataloader(config.test_dataloader, seed=0)
    if not getattr(loader.dataset, 'test_mode', False):
        raise ValueError(f'{config.filename} draws new masks in every test; set '
                         'test_dataloader.dataset.test_mode=True, so that baselines and models are given the same')
    return loader


def measure(config: Config, args: argparse.Namespace) -> tuple[str, dict[str, Report]]:
    """Run the baselines over the test data of a config; return the kind of input, and a report by baseline."""
    with DefaultScope.overwrite_default_scope(config.get('default_scope', SCOPE)):
        loader = make_loader(config)
        metrics: dict[str, Pose3DMetric] = {}
        baselines, kind = None, ''
        for batch in tqdm(loader, desc=Path(config.filename).stem, unit='batch', disable=None):
            inputs, samples = batch['inputs'], batch['data_samples']
            if baselines is None:
                kind = INPUTS[inputs.shape[-1]]
                baselines = _prepare(config, args, kind, get_skeleton(samples.metainfo['skeleton']), loader)
            for name, predictions in baselines.predict(inputs, samples).items():
                metrics.setdefault(name, make_metric(config)).process(batch, predictions)
    reports = {name: metric.report(metric.results) for name, metric in metrics.items()}
    if 'MPJPE/completed' not in next(iter(reports.values())).metrics:
        raise ValueError(f'the test data of {config.filename} hide nothing; their pipeline needs a mask, such as that '
                         "of dict(type='SampleJointGroups', groups=['left_leg'])")
    return kind, reports


def _prepare(config: Config, args: argparse.Namespace, kind: str, skeleton: Skeleton, loader: Any) -> Baselines:
    """Compute the mean pose for a config, and load the lifter if it has 2D inputs."""
    if args.train_store is None:
        sources = training_sources(config)
    else:
        sources = [as_poses(dict(type='MotionDataset', data_root=str(args.train_store), include=args.include,
                                 exclude=args.exclude,
                                 pipeline=[dict(type='ConvertSkeleton', target=skeleton.name)]))]
    lifter = None
    if args.lifter is not None and kind == '2D':
        flip_test = bool((config.get('model') or {}).get('flip_test', False))
        lifter = load_lifter(args.lifter, args.device, loader.dataset.pipeline, flip_test)
    return Baselines(mean_pose(sources, skeleton), skeleton, lifter)


# --- Command line ---


def table_rows(config: str, kind: str, reports: Mapping[str, Report]) -> list[list]:
    """Return rows of the CSV file: all groups of the first table, and last the headline."""
    rows: list[list] = []
    for name, report in reports.items():
        rows += [[config, kind, name, group, row['frames'], *(row[key] for key in MEASURED)]
                 for group, row in report.groups.items()]
        rows.append([config, kind, name, 'headline', report.counts['frames'],
                     *(report.metrics.get(key, float('nan')) for key in MEASURED)])
    return rows


def run(args: argparse.Namespace) -> None:
    """Measure all configs, print and write."""
    check_device(args.device)
    if args.train_store is None and (args.include or args.exclude):
        raise ValueError('--include and --exclude choose clips of --train-store; without it the mean pose is that of '
                         "the config's training data")
    rows: list[list] = []
    for path in args.configs:
        kind, reports = measure(read_config(path, args.cfg_options), args)
        rows += table_rows(Path(path).stem, kind, reports)
        for name, report in reports.items():
            print(f'{Path(path).stem}, {name}: {report.protocol}')
        if kind == '2D' and args.lifter is None:
            print(f'note: {Path(path).stem} has 2D inputs; interpolation needs a --lifter')
    header = ['config', 'inputs', 'baseline', 'group', 'frames', *MEASURED]
    print(format_table([row[:3] + row[5:] for row in rows if row[3] == 'headline'], header[:3] + header[5:]))
    if args.csv is not None:
        write_table(args.csv, rows, header)
        print(f'wrote {args.csv}')


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help='path of a config file')
    parser.add_argument('--csv', type=Path, metavar='OUT', help='write the table')
    parser.add_argument('--lifter', type=Path, metavar='CHECKPOINT',
                        help='2D-to-3D model of the same windows, inputs and targets, for 2D that was filled in')
    parser.add_argument('--train-store', type=Path, metavar='DIR',
                        help="motion store of the mean pose (default: the config's training data)")
    parser.add_argument('--include', nargs='+', default=[], metavar='PATTERN', help='clips of it to use')
    parser.add_argument('--exclude', nargs='+', default=[], metavar='PATTERN', help='clips of it to leave out')
    parser.add_argument('--device', help="of the lifter: 'cpu', 'cuda:0', ... (default: the best available)")
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={}, metavar='KEY=VALUE',
                        help='override entries of all configs')
    with one_line_errors():
        run(parser.parse_args(arguments))


if __name__ == '__main__':
    main()
