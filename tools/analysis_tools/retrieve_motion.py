"""Measure whether 2D and 3D poses of one motion lie together in the space of MPM: does a 2D window find its 3D window?

Windows of the test data of a config, nothing hidden, are encoded twice: the 2D input by encode2d, the 3D truth by
encode3d. Features are averaged over time and compared by their cosine. Printed are, for 2D queries in a gallery of 3D
and the other way round, the share of queries whose own window is the first (R@1) or among the first 5 and 10, and the
median rank; equal candidates count as if shuffled. Everything is printed as it is, and with the mean of each modality
removed; beside it stands what guessing would give.

Right is the window of the same frames, seen by the same camera. Views of one motion by several cameras differ in 3D by
a rotation only, and are hard to tell apart: a second part of the table counts every view of the same frames as right.

Example, with a config of stage I:
    retrieve_motion.py configs/pretrain/mpm_mask_....py work_dirs/mpm_mask/epoch_50.pth --json retrieval.json
"""
from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.device import get_device
from torch import nn
from tqdm import tqdm

from experiments import format_table
from motionbert_mm.checkpoints.load import STEPS, load_weights, read_checkpoint
from motionbert_mm.datasets import MotionDataset
from motionbert_mm.datasets.base import change_steps
from motionbert_mm.datasets.loading import collate_batch
from motionbert_mm.engine.command_line import EXPECTED, check_device, describe_error, read_config
from motionbert_mm.evaluation.functional.retrieval import (
    Places,
    chance_places,
    median_rank,
    recall_at,
    retrieve,
    unit_features,
)
from motionbert_mm.io import atomic_path
from motionbert_mm.registry import DATASETS, MODELS, build

COUNTS = (1, 5, 10)
# Transforms that would hide or replace the 2D input.
LEFT_OUT = (*STEPS['mask'], *STEPS['input_3d'])


@dataclass(frozen=True)
class Windows:
    """Features of N windows.

    Attributes:
        flat: (N, D) of the 2D input, mean over time.
        solid: (N, D) of the 3D truth.
        views: (N,) names that tell windows apart.
        motions: (N,) names that views of the same frames by other cameras share.
    """

    flat: np.ndarray
    solid: np.ndarray
    views: np.ndarray
    motions: np.ndarray


# --- Data ---


def read_dataset(config: Config, split: str) -> dict[str, MotionDataset]:
    """Build the data sets of a split by name, '' for a single one: windows that do not overlap, nothing hidden.

    Raises:
        ValueError: no such split, or a data set that is not made of clips with 2D and 3D.
    """
    dataset = (config.get(f'{split}_dataloader') or {}).get('dataset')
    if dataset is None:
        raise ValueError(f'the config has no {split}_dataloader with a dataset; choose another --split')
    return {name: build(DATASETS, _plain_windows(name, part)) for name, part in _parts(dataset.to_dict(), split)}


def _parts(dataset: Mapping, split: str) -> Iterator[tuple[str, Mapping]]:
    """Yield a data set, or those that a ``JoinedDataset`` joins, with their names."""
    kind = dataset['type'].rpartition('.')[2]
    if kind == 'MixedDataset':
        raise ValueError(f'the {split} data are a MixedDataset, whose sources may show the same clips; choose a '
                         '--split with one data set')
    if kind != 'JoinedDataset':
        yield '', dataset
    for name, part in dataset.get('datasets', {}).items():
        yield from ((f'{name}/{inner}'.rstrip('/'), leaf) for inner, leaf in _parts(part, split))


def _plain_windows(name: str, dataset: Mapping) -> dict:
    """Return the config of a data set with windows side by side, both modalities, and without masks."""
    steps = change_steps(dataset.get('pipeline', ()), dataset.get('pipeline_changes'))
    kinds = [step['type'].rpartition('.')[2] for step in steps]
    normalise = next((step for step, kind in zip(steps, kinds) if kind == 'NormalizeCoords'), {'target': None})
    lacking = [what for what, is_there in (
        ('2D input (input_2d)', dataset.get('input_2d', 'detected') or 'OrthographicView' in kinds),
        ('3D truth (targets)', 'keypoints_3d' in dataset.get('targets', ('keypoints_3d',))),
        ('NormalizeCoords with a 3D target', normalise.get('target', 'root_relative'))) if not is_there]
    if lacking:
        raise ValueError(f'the data{f" {name}" if name else ""} have no {", no ".join(lacking)}; retrieval compares 2D '
                         'and 3D poses of the same frames')
    kept = [step for step, kind in zip(steps, kinds) if kind not in (*LEFT_OUT, 'PackInputs')]
    window = {key: dataset['window'][key] for key in ('num_frames', 'dilation') if key in dataset['window']}
    config = {key: value for key, value in dataset.items() if key not in ('pipeline_changes', 'valid_only')}
    return dict(config, pipeline=[*kept, dict(type='PackInputs', fields=['target_3d'])], test_mode=True,
                window=dict(window, kind='sliding', tail='drop'))


def choose_windows(dataset: MotionDataset, one_per_clip: bool) -> np.ndarray:
    """Return the numbers of all windows, or of the middle one of each clip, as one camera saw it."""
    numbers = np.arange(len(dataset))
    if not one_per_clip:
        return numbers
    clips = dataset.windows.frames(numbers, np.random.default_rng(0))[0]
    starts = np.unique(clips, return_index=True)[1]
    return (starts + np.append(starts[1:], len(numbers)) - 1) // 2


def motion_of(clip: str, camera: Optional[str]) -> str:
    """Return the name of a clip without that of its camera: 'walk#front' and 'walk#side' show the same motion."""
    place = clip.rfind(camera) if camera else -1
    return clip if place < 0 else clip[:place] + clip[place + len(camera):]


# --- Features ---


def check_backbone(model: nn.Module) -> None:
    """Refuse a model that does not read both 2D and 3D poses."""
    name = type(model.backbone).__name__
    if not hasattr(model.backbone, 'encode2d') or not hasattr(model.backbone, 'encode3d'):
        raise ValueError(f'the backbone is {name}, which has no encode2d and encode3d; expected MPMEncoder, which '
                         'reads 2D and 3D poses')
    if getattr(model.backbone, 'expand_3d', None) is None:
        raise ValueError(f'this {name} reads 2D poses only (has_3d=False), as in stage II; use config and checkpoint '
                         'of stage I')


def encode(model: nn.Module, datasets: Mapping[str, MotionDataset], *, one_per_clip: bool, batch_size: int,
           device: str) -> Windows:
    """Encode windows in both modalities."""
    parts = []
    for name, dataset in datasets.items():
        numbers = choose_windows(dataset, one_per_clip)
        for start in tqdm(range(0, len(numbers), batch_size), desc=name or 'windows', unit='batch', disable=None):
            batch = collate_batch(dataset.__getitems__(numbers[start:start + batch_size]))
            parts.append(_encode_batch(model, batch, name, device))
    return Windows(*(np.concatenate([getattr(part, field) for part in parts])
                     for field in ('flat', 'solid', 'views', 'motions')))


def _encode_batch(model: nn.Module, batch: Mapping, source: str, device: str) -> Windows:
    """Encode a batch (B, M, T, J, C); persons that are not there are left out."""
    inputs, samples = batch['inputs'], batch['data_samples']
    is_there = samples.visible.flatten(2).any(dim=2) if 'visible' in samples else torch.ones(inputs.shape[:2]).bool()
    with torch.inference_mode():
        flat = model.backbone.encode2d(inputs[is_there][..., :2].to(device))  # (N, T, 1, D)
        solid = model.backbone.encode3d(samples.target_3d[is_there].to(device))
    meta, views, motions = samples.metainfo, [], []
    for sample, person in is_there.nonzero().tolist():
        clip, camera = meta['sample_id'][sample], meta['camera_id'][sample]
        for names, shown in ((views, clip), (motions, motion_of(clip, camera))):
            names.append(f'{source}:{shown}, person {person}, from frame {meta["frame_ids"][sample][0]}')
    return Windows(flat.mean(dim=(1, 2)).cpu().numpy(), solid.mean(dim=(1, 2)).cpu().numpy(), np.array(views),
                   np.array(motions))


# --- Measuring ---


def measure(windows: Windows) -> list[dict]:
    """Rank both ways; return a row of facts for every combination of what counts as right, features and direction."""
    rows = []
    for right, ids in (('same view', windows.views), ('any view', windows.motions)):
        if right == 'any view' and len(set(ids)) == len(ids):
            continue  # one camera
        for centred in (False, True):
            flat, solid = (unit_features(each, centred=centred) for each in (windows.flat, windows.solid))
            for direction, (queries, gallery) in (('2D -> 3D', (flat, solid)), ('3D -> 2D', (solid, flat))):
                rows.append(_row(right, 'mean removed' if centred else 'as they are', direction,
                                 retrieve(queries, gallery, ids, ids)))
        rows.append(_row(right, 'guessed', 'either', chance_places(ids, ids)))
    return rows


def _row(right: str, features: str, direction: str, places: Places) -> dict:
    recalls = {f'R@{count}': 100 * recall_at(places, count) for count in COUNTS}
    return {'right': right, 'features': features, 'direction': direction, **recalls,
            'median rank': median_rank(places)}


# --- Command line ---


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Read, encode, rank; return what was measured."""
    if args.batch_size < 1:
        raise ValueError(f'--batch-size must be at least 1, got {args.batch_size}')
    check_device(args.device)
    config = read_config(args.config, args.cfg_options)
    if 'model' not in config:
        raise ValueError(f'the config has no model; it holds {", ".join(sorted(config))}')
    config.model.pop('init_cfg', None)  # all weights come from the checkpoint
    model = build(MODELS, config.model.to_dict())
    check_backbone(model)
    state = read_checkpoint(args.checkpoint)
    load_weights(model, state.get('state_dict', state), args.checkpoint)
    device = args.device or get_device()
    windows = encode(model.to(device).eval(), read_dataset(config, args.split), one_per_clip=args.one_per_clip,
                     batch_size=args.batch_size, device=device)
    return dict(config=args.config, checkpoint=args.checkpoint, split=args.split, one_per_clip=args.one_per_clip,
                num_candidates=len(windows.views), num_motions=len(set(windows.motions)), results=measure(windows))


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='path of a config file with an MPMEncoder that reads 2D and 3D, as of stage I')
    parser.add_argument('checkpoint', help='path of a checkpoint')
    parser.add_argument('--split', choices=('train', 'val', 'test'), default='test',
                        help='data loader of the config (default: test)')
    parser.add_argument('--one-per-clip', action='store_true',
                        help='only the middle window of each clip and camera; default: all, side by side')
    parser.add_argument('--json', type=Path, metavar='OUT', help='write the table with full precision')
    parser.add_argument('--batch-size', type=int, default=64, metavar='N', help='windows at a time (default: 64)')
    parser.add_argument('--device', default=None, help="'cpu', 'cuda:0', ... (default: the best available)")
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override entries of the config')
    args = parser.parse_args(arguments)
    try:
        measured = run(args)
        if args.json is not None:
            with atomic_path(args.json) as work:
                work.write_text(json.dumps(measured, indent=2) + '\n')
    except EXPECTED as error:
        sys.exit(f'error: {describe_error(error)}')
    print(format_table([list(row.values()) for row in measured['results']], list(measured['results'][0])))
    print(f'{measured["num_candidates"]} candidates, {measured["num_motions"]} motions; R@k in %')


if __name__ == '__main__':
    main()
