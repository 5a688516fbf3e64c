"""Which clips of a store, and which of their frames, a data set uses, and what their labels are."""
from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatch
from typing import Optional

import numpy as np

from motionbert_mm.datasets.motion_store import Clip, MotionStore

OTHER_CLASSES = ('refuse', 'leave_out')
EXAMPLES = 5  # names that an error lists


def select_clips(store: MotionStore, *, split: Optional[str], include: Sequence[str],
                 exclude: Sequence[str]) -> list[Clip]:
    """Return the clips of a split whose names fit the patterns, in the order of the store.

    Raises:
        ValueError: the store has no such split, or nothing is left.
    """
    splits = store.info.get('splits', {})
    if split is not None and split not in splits:
        raise ValueError(f'{store.path} has no split {split!r}; it has {", ".join(splits) or "none"}. Change split of '
                         'the data set, or choose clips by include and exclude')
    members = None if split is None else set(splits[split])
    clips = [clip for clip in store.clips if (members is None or clip.name in members)
             and _is_selected(clip.name, include, exclude)]
    if not clips:
        raise ValueError(f'{store.path}: split={split!r}, include={list(include)} and exclude={list(exclude)} leave '
                         f'none of its {len(store.clips)} clips, e.g. {store.clips[0].name!r}')
    return clips


def store_classes(store: MotionStore) -> tuple:
    """Return the names of the classes of a store: what its converter noted, else its actions by name."""
    return tuple(store.info.get('classes') or sorted({clip.action for clip in store.clips if clip.action}))


def label_clips(clips: Sequence[Clip], classes: Sequence[str], others: str) -> list[Clip]:
    """Make the place of a clip's action among the classes its label.

    Args:
        clips: of a store.
        classes: names.
        others: what becomes of a clip of another class: 'refuse' or 'leave_out'.

    Raises:
        ValueError: a name given twice, an unknown way, clips of other classes that are to be refused, or none left.
    """
    if len(set(classes)) < len(classes) or others not in OTHER_CLASSES:
        raise ValueError(f'classes are {list(classes)} and other_classes is {others!r}; expected names that differ and '
                         f'one of {OTHER_CLASSES}')
    labelled = number_clips(clips, classes)
    strange = [clip for clip in labelled if clip.label is None]
    if strange and others == 'refuse':
        names = sorted({clip.action for clip in strange})
        raise ValueError(f'{len(strange)} clips have an unknown label, e.g. {strange[0].name!r}: '
                         f'{", ".join(map(repr, names[:EXAMPLES]))}{" ..." if len(names) > EXAMPLES else ""}; the '
                         f'classes are {", ".join(classes)}. Correct the labels, exclude the clips, or set '
                         "other_classes='leave_out' of the data set")
    if len(strange) == len(labelled):
        raise ValueError(f'no clip is of one of the classes {", ".join(classes)}; the actions are '
                         f'{", ".join(sorted({clip.action for clip in clips}))}')
    return [clip for clip in labelled if clip.label is not None]


def number_clips(clips: Sequence[Clip], classes: Sequence[str]) -> list[Clip]:
    """Make the place of a clip's action among the classes its label; None for another action."""
    places = {name: label for label, name in enumerate(classes)}
    return [replace(clip, label=places.get(clip.action)) for clip in clips]


def choose_part(clip: Clip, fraction: float, seed: int) -> range:
    """Return the frames of a clip that are used."""
    if not 0.0 < fraction <= 1.0:
        raise ValueError(f'fraction is the share of each clip that is used, above 0 and at most 1, got {fraction}')
    length = max(1, round(clip.length * fraction))
    if length == clip.length:
        return range(length)
    rng = np.random.default_rng([seed, zlib.crc32(clip.name.encode())])
    start = int(rng.integers(clip.length - length, endpoint=True))
    return range(start, start + length)


def _is_selected(name: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    is_in = not include or any(fnmatch(name, pattern) for pattern in include)
    return is_in and not any(fnmatch(name, pattern) for pattern in exclude)
