"""Give a motion store detections as an imitated 2D detector would make of its exact 2D joints.

Everything else is copied. Errors differ by joint, last for some frames and now and then are large; see
motionbert_mm/datasets/imitated_detector.py for the numbers and where they come from. No real detector is behind them.
"""
from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from motionbert_mm.datasets.imitated_detector import imitate_detector
from motionbert_mm.datasets.motion_store import Clip, MotionStore, MotionStoreWriter
from motionbert_mm.structures.skeleton import get_skeleton


def clip_arrays(store: MotionStore, clip: Clip) -> dict:
    """Return every array of a clip, each with leading axes (M, T)."""
    rows = slice(clip.start, clip.start + clip.persons * clip.length)
    return {name: np.array(array[rows]).reshape(clip.persons, clip.length, *array.shape[1:])
            for name, array in store.arrays.items()}


def rewrite(source: str, target: str, seed: int) -> int:
    """Copy a store with imitated detections and return the number of its clips.

    Raises:
        FileNotFoundError, ValueError: see ``MotionStore`` and ``imitate_detector``; no exact 2D joints.
    """
    store = MotionStore(source)
    if 'keypoints_2d' not in store.arrays:
        raise ValueError(f'{source} has no keypoints_2d, only {sorted(store.arrays)}; detections are made of exact 2D '
                         'joints')
    if Path(target).resolve() == store.path.resolve():
        raise ValueError(f'{target} is the store that is read; name another directory')
    skeleton, rng = get_skeleton(store.skeleton), np.random.default_rng(seed)
    info = dict(store.info, detections='imitated', detections_seed=seed)
    with MotionStoreWriter(target, skeleton=store.skeleton, fps=store.fps, info=info) as writer:
        for clip in tqdm(store.clips, desc='clips', unit='clip'):
            arrays = clip_arrays(store, clip)
            people = [imitate_detector(points, skeleton, store.clip_fps(clip), rng)
                      for points in arrays['keypoints_2d']]
            arrays['detected_2d'], arrays['detected_confidence'] = (np.stack(column) for column in zip(*people))
            facts = {key: value for key, value in asdict(clip).items() if key not in ('name', 'start', 'length')}
            if clip.persons == 1:
                arrays = {name: array[0] for name, array in arrays.items()}
            writer.add_clip(clip.name, arrays, **facts)
    return len(store.clips)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('store', metavar='STORE', help='store with exact 2D joints')
    parser.add_argument('out_dir', metavar='OUT_DIR', help='the store to make; an existing store there is replaced')
    parser.add_argument('--seed', type=int, default=0, help='another seed gives other errors (default: 0)')
    args = parser.parse_args()
    try:
        number = rewrite(args.store, args.out_dir, args.seed)
    except (OSError, ValueError, KeyError) as error:
        sys.exit(str(error.args[0]) if isinstance(error, KeyError) else str(error))
    print(f'{args.out_dir}: {number} clips with imitated detections')


if __name__ == '__main__':
    main()
