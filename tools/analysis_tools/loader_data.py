"""Data of a loader config: what is missing, and generated motion in its place.

Scripts in this folder use it as ``from loader_data import read_stores``.
"""
from __future__ import annotations

import copy
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from motionbert_mm.datasets.synthetic import write_store
from motionbert_mm.registry import SCOPE

# Arguments of MotionDataset that stay when a generated store takes the place of the config's data.
KEPT_ARGUMENTS = ('window', 'input_2d', 'targets', 'target_frames', 'pipeline', 'pipeline_changes', 'num_persons',
                  'data_on_device', 'test_mode', 'seed')
SELF_MADE = 'SyntheticDataset'  # generates its store itself
CLIP_FRAMES = 300  # of generated clips, unless windows are longer


def with_workers(dataloader: Mapping, count: int) -> dict:
    """Return a copy of a loader config with so many workers; without any, some options are not allowed."""
    refused = () if count else ('persistent_workers', 'prefetch_factor')
    return dict({key: copy.deepcopy(value) for key, value in dataloader.items() if key not in refused},
                num_workers=count)


def data_sets(config: Any) -> Iterator[dict]:
    """Yield the configs of data sets, however deep in wrappers: everything with a ``data_root``."""
    if isinstance(config, Mapping):
        if 'data_root' in config:
            yield config
        else:
            config = list(config.values())
    if isinstance(config, (list, tuple)):
        for entry in config:
            yield from data_sets(entry)


def missing_data(dataloader: Mapping) -> list[str]:
    """Return the data roots of a loader config that do not exist."""
    return [data['data_root'] for data in data_sets(dataloader['dataset'])
            if SELF_MADE not in str(data.get('type')) and not os.path.exists(data['data_root'])]


def read_stores(dataloader: Mapping, store: Path) -> None:
    """Let every data set of a loader config read ``store``, whole; changes the config in place."""
    for data in data_sets(dataloader['dataset']):
        kept = {key: data[key] for key in KEPT_ARGUMENTS if key in data}
        if kept.get('targets'):  # whatever they are called there, they follow from the 3D joints
            kept['targets'] = ['keypoints_3d']
        data.clear()
        data.update(type=f'{SCOPE}.MotionDataset', data_root=str(store), **kept)


def window_span(dataloader: Mapping) -> int:
    """Return the frames from the first to the last of the longest window of a loader config."""
    windows = [data.get('window', {}) for data in data_sets(dataloader['dataset'])]
    return max((window.get('num_frames', 1) * window.get('dilation', 1) for window in windows), default=1)


def make_small_store(path: Path, dataloader: Mapping, num_motions: int = 12) -> None:
    """Write synthetic clips, long enough for two windows of the loader config."""
    write_store(path, num_clips=num_motions, num_frames=max(CLIP_FRAMES, 2 * window_span(dataloader)),
                show_progress=sys.stderr.isatty())
