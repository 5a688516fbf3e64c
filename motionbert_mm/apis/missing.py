"""2D input in which joints are missing: what is interpolated, and what the model has to find out by itself."""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from motionbert_mm.geometry.filling import interpolate_gaps
from motionbert_mm.registry import TRANSFORMS, build
from motionbert_mm.structures.skeleton import Conversion, Skeleton, convert

# Who fills in missing joints; 'auto' is the model where it was made for that.
WAYS = ('auto', 'model', 'interpolate')
# A person missing in a larger share of the frames is worth a note.
MOSTLY = 0.5


@dataclass(frozen=True)
class CompleteInput:
    """One person's 2D input in the joints of a model, finite everywhere.

    Attributes:
        source: the converted keypoints (F, J, 2) px, missing ones interpolated, and confidence (F, J), 0 for those.
        filled: (F, J) bool, joints that were missing. Joints that the input skeleton does not have are not.
        hidden: (F, J) bool, those of them that the model is not given; the others were interpolated.
    """

    source: Conversion
    filled: np.ndarray
    hidden: np.ndarray


def is_made_for_missing(model: nn.Module, info: Mapping) -> bool:
    """Whether a model knows joints that are missing: some were hidden from it in training.

    Args:
        model: of ``load_model``.
        info: of ``load_model``. Where it names no masks, a model that has a learned joint for hidden ones is taken for
            one that was trained so.
    """
    masks = info['mask'] if info['trained_mask'] is None else info['trained_mask']
    has_token = getattr(model.backbone, 'joint_token', None) is not None
    return any(build(TRANSFORMS, step).hides_joints for step in masks) or (has_token and not masks)


def complete_input(keypoints: np.ndarray, confidence: np.ndarray, source: str, target: Skeleton, *,
                   by_model: bool) -> CompleteInput:
    """Convert 2D input to the joints of a model, and fill in those that are missing.

    A joint is missing in the frames in which its confidence is 0; a mean of several joints is, where one of them is.
    Joints are interpolated linearly over time, those of the input before the conversion. ``by_model`` hides them from
    the model instead. Frames without any joint are interpolated in any case, as far as their joints were seen on both
    sides, since encoders that drop hidden frames need equally many in all windows; and joints that were never seen are
    hidden in any case.

    Args:
        keypoints: (F, J_source, 2) px, finite.
        confidence: (F, J_source) in 0..1.
        source: skeleton of the input.
        target: that of the model.
        by_model: see above.

    Raises:
        ValueError: nothing that the model reads was seen in any frame.
    """
    seen = confidence > 0
    if not seen.any():
        raise ValueError('nothing was seen: every joint is NaN or has confidence 0 in every frame')
    points = interpolate_gaps(keypoints, seen)
    given = convert(points, source, target, np.where(seen, confidence, 0))
    is_given = ~np.isin(target.joints, given.invented)  # (J,)
    found = given.confidence > 0  # (F, J)
    ever = convert(points[:1], source, target, seen.any(axis=0, keepdims=True).astype(np.float32)).confidence[0] > 0
    if not ever.any():
        raise ValueError(f'no joint from which one of the {target.name} joints of the model follows was seen in any '
                         f'frame; of {source} only those at other places were')
    filled = ~found & is_given
    hidden = filled & (~_bridged(found, ever) if by_model else ~ever)
    return CompleteInput(given, filled, hidden)


def _bridged(found: np.ndarray, ever: np.ndarray) -> np.ndarray:
    """Choose the joints (F, J) that are interpolated in frames without any: those found before and after the gap.

    Where there is none, all that were ever found (J,), so that something is left of every frame.
    """
    is_gap, frames = ~found.any(axis=1), np.arange(len(found))
    known = np.flatnonzero(~is_gap)
    if not len(known):
        return np.broadcast_to(ever, found.shape)
    place = np.searchsorted(known, frames)  # of the next known frame
    before, after = known[np.maximum(place - 1, 0)], known[np.minimum(place, len(known) - 1)]
    both = found[before] & found[after]
    return is_gap[:, None] & np.where(both.any(axis=1, keepdims=True), both, ever)


def notes_on(given: CompleteInput, skeleton: Skeleton, *, is_made: bool) -> tuple:
    """Say what the user should know of an input, one sentence each.

    Args:
        given: the input.
        skeleton: of the model.
        is_made: see ``is_made_for_missing``.
    """
    is_invented = np.isin(skeleton.joints, given.source.invented)
    gaps, length = int((given.filled | is_invented).all(axis=1).sum()), len(given.filled)
    guessed = np.array(skeleton.joints)[given.hidden.any(axis=0)]
    notes = []
    if gaps > MOSTLY * length:
        notes.append(f'the person is missing in most frames, {gaps} of {length}: the motion there is made of the few '
                     'others')
    if len(guessed) and not is_made:
        notes.append(f'hidden from a model that was not trained with hidden joints: {", ".join(guessed)}; what it '
                     'says about them is a guess')
    return tuple(notes)


def describe_filled(filled: np.ndarray, hidden: np.ndarray, joints: Sequence[str]) -> list[str]:
    """Say which joints were filled in how many frames and by what, one line for all joints alike; empty if none was.

    Args:
        filled: (F, J) bool, see ``CompleteInput``.
        hidden: (F, J) bool.
        joints: names.
    """
    groups = defaultdict(list)
    counts = zip(joints, hidden.sum(axis=0).tolist(), (filled & ~hidden).sum(axis=0).tolist())
    for joint, by_model, interpolated in counts:
        groups[by_model, interpolated].append(joint)
    lines = []
    for (by_model, interpolated), names in groups.items():
        ways = [f'{count} {way}' for count, way in ((by_model, 'by the model'), (interpolated, 'by interpolation'))
                if count]
        if ways:
            who = 'all joints' if len(names) == len(joints) else ', '.join(names)
            lines.append(f'{who}: {" and ".join(ways)}, of {len(filled)} frames')
    return lines
