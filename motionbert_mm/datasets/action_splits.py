"""Which clips of single actions are for training and which for tests."""
from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from motionbert_mm.datasets.action_clips import ActionClip
from motionbert_mm.datasets.action_files import TRAIN, VAL, ClipSource
from motionbert_mm.datasets.motion_store import MotionStoreWriter


def assign_splits(clips: Sequence[ActionClip], *, val_share: float = 0.2,
                  seed: int = 0) -> tuple[dict[str, list[ActionClip]], list[str]]:
    """Part clips into splits: those that their sources name, else train and val by ``split_by_file``.

    Args:
        clips: at least one.
        val_share: wanted share of the clips of each class in val.
        seed: of the draw.

    Returns:
        Name of each split that is not empty -> its clips; and what the user should know, one sentence each.

    Raises:
        ValueError: no clip in train.
    """
    if clips[0].source.split is None:
        sides = split_by_file([clip.source for clip in clips], val_share, seed)
    else:
        sides = [clip.source.split for clip in clips]
    known = {clip.source.action for clip, side in zip(clips, sides) if side == TRAIN}
    if not known:
        raise ValueError(f'no clip is left in {TRAIN}; {len(clips)} in other splits cannot be used without it')
    splits: dict[str, list[ActionClip]] = {}
    strange: Counter = Counter()
    for clip, side in zip(clips, sides):
        if clip.source.action in known:
            splits.setdefault(side, []).append(clip)
        else:
            strange[clip.source.action] += 1
    notes = [f'class {name!r}: no clip is left in {TRAIN}, so {count} in other splits are left out too'
             for name, count in strange.items()]
    return splits, notes + _shared_files(splits) + _untested(splits, known)


def _shared_files(splits: dict[str, list[ActionClip]]) -> list[str]:
    """Say which files have clips in several splits."""
    places = Counter(path for clips in splits.values() for path in {clip.source.path for clip in clips})
    shared = [path for path, count in places.items() if count > 1]
    return [f'{len(shared)} files have clips in several splits, e.g. {shared[0]}: results look better than they '
            'are'] if shared else []


def _untested(splits: dict[str, list[ActionClip]], classes: set) -> list[str]:
    """Say which classes have no clip in val, and why."""
    tested = {clip.source.action for clip in splits.get(VAL, ())}
    if not tested:
        return [f'no clip is in {VAL}: nothing is tested']
    notes = []
    for name in sorted(classes - tested):
        mine = [clip.source for clip in splits[TRAIN] if clip.source.action == name]
        reason = ('has one clip' if len(mine) == 1 else
                  f'has {len(mine)} clips of one file' if len({source.path for source in mine}) == 1 else
                  f'has {len(mine)} clips')
        notes.append(f'class {name!r} {reason}, all in {TRAIN}: it is not tested')
    return notes


def split_by_file(sources: Sequence[ClipSource], val_share: float, seed: int) -> list[str]:
    """Draw files for val so that each class has about a share of its clips there.

    The clips of a file stay on one side. Each class keeps a file in train, and gets one into val where it has another.

    Args:
        sources: the clips.
        val_share: 0 to below 1; with 0 all are in train.
        seed: of the draw.

    Returns:
        'train' or 'val' of each clip.
    """
    paths, files = np.unique([str(source.path.resolve()) for source in sources], return_inverse=True)
    classes, actions = np.unique([source.action for source in sources], return_inverse=True)
    counts = np.zeros((len(paths), len(classes)), int)  # clips by file and class
    np.add.at(counts, (files, actions), 1)
    wanted = val_share * counts.sum(axis=0)
    is_val = np.zeros(len(counts), bool)
    order = np.random.default_rng(seed).permutation(len(counts)) if val_share > 0 else []
    for file in order:
        held = counts[is_val].sum(axis=0)
        is_nearer = np.abs(held + counts[file] - wanted).sum() < np.abs(held - wanted).sum()
        is_val[file] = is_nearer and _leaves_train(counts, is_val, file)
    for number in range(len(classes) if val_share > 0 else 0):
        candidates = [file for file in order if counts[file, number] and not is_val[file]
                      and _leaves_train(counts, is_val, file)]
        if candidates and not counts[is_val, number].any():
            is_val[min(candidates, key=lambda file: counts[file].sum())] = True
    return [VAL if is_val[file] else TRAIN for file in files]


def _leaves_train(counts: np.ndarray, is_val: np.ndarray, file: int) -> bool:
    """Tell whether each class of a file keeps a clip in train without it."""
    left = counts[~is_val].sum(axis=0) - counts[file]
    return bool((left[counts[file] > 0] > 0).all())


def write_splits(writer: MotionStoreWriter, splits: dict[str, list[ActionClip]]) -> None:
    """Write the clips of all splits and note classes, by name, and splits in ``info``."""
    classes = sorted({clip.source.action for clips in splits.values() for clip in clips})
    writer.info.update(classes=classes, splits={split: [clip.source.name for clip in clips]
                                                for split, clips in splits.items()})
    for clips in splits.values():
        for clip in clips:
            arrays = {'detected_2d': clip.keypoints, 'detected_confidence': clip.confidence}
            persons = len(clip.keypoints)
            if persons == 1:
                arrays = {name: values[0] for name, values in arrays.items()}
            writer.add_clip(clip.source.name, arrays, persons=persons, action=clip.source.action,
                            label=classes.index(clip.source.action), image_size=clip.image_size)
