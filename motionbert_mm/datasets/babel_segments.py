"""From the labels of BABEL and a store of AMASS to clips of one labelled action each."""
from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from motionbert_mm.datasets.babel import Label, MotionIndex, Recording, Tally, order_labels
from motionbert_mm.datasets.motion_store import Clip, MotionStore
from motionbert_mm.geometry.resampling import resample, resample_rotations

SAME_FRAME = 1e-6  # frames by which a time may miss a frame that it means
# Seconds by which a motion may be shorter than its stated duration: files were trimmed or lost their last frames.
TRIMMED = 0.5


@dataclass(frozen=True)
class SegmentOptions:
    """What segments depend on.

    Attributes:
        fps: frames per second of the segments; that of the motions or less.
        min_frames: shortest segment.
        with_transitions: name transitions after the actions around them; else they are left out.
        template: words for a transition from ``before`` to ``after``.
        max_gap: seconds between a transition and its neighbours.
        context: frames on either side of the middle of a transition that its segment has at most; half a window.
    """

    fps: float = 30.0
    min_frames: int = 16
    with_transitions: bool = True
    template: str = 'transit from {before} to {after}'
    max_gap: float = 0.5
    context: int = 121


@dataclass(frozen=True)
class Segment:
    """Frames ``start`` to ``end`` of a sequence, and what they show."""

    text: str
    start: int
    end: int
    categories: tuple


@dataclass(frozen=True)
class SegmentClip:
    """A segment with its arrays (T, ...), ready for a store.

    Attributes:
        name: ``<split>/<sequence>/<number>``.
        subject: data set and subject in AMASS.
        sequence: id of the sequence.
        fps: frames per second.
        segment: its frames.
        arrays: of these frames.
    """

    name: str
    subject: str
    sequence: str
    fps: float
    segment: Segment
    arrays: dict

    @property
    def seconds(self) -> tuple:
        """Begin and end in the sequence."""
        return self.segment.start / self.fps, self.segment.end / self.fps


@dataclass(frozen=True)
class Transition:
    """A transition between two labelled actions, and its text."""

    text: str
    label: Label
    before: Label
    after: Label


def name_transitions(labels: Sequence[Label], *, template: str, max_gap: float) -> tuple[list[Transition], list[Label]]:
    """Find the actions before and after each transition of one annotator.

    Before is every action that goes on or ends where the transition starts, else the one that ended last before, at
    most ``max_gap`` seconds earlier; after is the mirror image. Transitions are no actions.

    Args:
        labels: with times.
        template: words with {before} and {after}.
        max_gap: seconds.

    Returns:
        One transition for every pair of actions, and the labels of those that lack one side.
    """
    actions = [label for label in labels if not label.is_transition]
    named, lonely = [], []
    for label in labels:
        if not label.is_transition:
            continue
        before = [action for action in actions if action.start <= label.start <= action.end]
        after = [action for action in actions if action.start <= label.end <= action.end]
        earlier = [action for action in actions if 0 < label.start - action.end <= max_gap]
        later = [action for action in actions if 0 < action.start - label.end <= max_gap]
        before = before or sorted(earlier, key=lambda action: action.end)[-1:]
        after = after or sorted(later, key=lambda action: action.start)[:1]
        pairs = {template.format(before=first.text, after=second.text): (first, second)
                 for first in before for second in after}
        named += [Transition(text, label, *pair) for text, pair in pairs.items()]
        lonely += [] if pairs else [label]
    return named, lonely


def cut_segments(labels: Sequence[Label], num_frames: int, options: SegmentOptions, place: str,
                 tally: Tally) -> tuple[list[Segment], list[tuple]]:
    """Turn the labels of one annotator into frames.

    Args:
        labels: of ``order_labels``.
        num_frames: of the sequence.
        options: see there.
        place: name for the notes.
        tally: takes the notes.

    Returns:
        Segments, and everything that was said of the sequence as (start, end, text), seconds; short labels, which give
        no segment, and the times of transitions themselves, whose segments reach into their neighbours.
    """
    fps, segments, said = options.fps, [], []
    for label in labels:
        if not label.is_transition:
            said.append((label.start, label.end, label.text))
            segments.append(Segment(label.text, _first(label.start, fps), min(_last(label.end, fps), num_frames),
                                    label.categories))
    named, lonely = name_transitions(labels, template=options.template, max_gap=options.max_gap)
    if not options.with_transitions:
        lonely, named = [label for label in labels if label.is_transition], []
    for _ in lonely:
        tally.note('transitions without an action before and after' if options.with_transitions else 'transitions',
                   place)
    for transition in named:
        said.append((transition.label.start, transition.label.end, transition.text))
        middle = round((transition.label.start + transition.label.end) / 2 * fps)
        segments.append(Segment(
            transition.text, max(_first(transition.before.start, fps), middle - options.context),
            min(_last(transition.after.end, fps), middle + options.context, num_frames), transition.label.categories))
    kept = [segment for segment in segments if segment.end - segment.start >= options.min_frames]
    for _ in range(len(segments) - len(kept)):
        tally.note(f'segments of fewer than {options.min_frames} frames', place)
    return kept, said


def _first(seconds: float, fps: float) -> int:
    return math.floor(seconds * fps + SAME_FRAME)


def _last(seconds: float, fps: float) -> int:
    return math.ceil(seconds * fps - SAME_FRAME)


class SegmentMaker:
    """Cut the labelled segments of sequences out of a store of AMASS.

    Args:
        store: made by tools/dataset_converters/amass.py; its clips are whole motions.
        options: see there.
        tally: takes what is left out or put right.

    Attributes:
        labels: sequence -> (start, end, text) of everything that was said of it, for the exclusion of negatives.

    Raises:
        ValueError: the store has fewer frames per second than asked for.
    """

    def __init__(self, store: MotionStore, options: SegmentOptions, tally: Tally) -> None:
        slow = [clip for clip in store.clips if store.clip_fps(clip) < options.fps]
        if slow:
            raise ValueError(f'{store.path}: {slow[0].name!r} has {store.clip_fps(slow[0]):g} frames per second, fewer '
                             f'than the {options.fps:g} that are asked for; convert AMASS again with --fps '
                             f'{options.fps:g}, or lower --fps')
        self.store, self.options, self.tally = store, options, tally
        self._clips = {clip.name: clip for clip in store.clips}
        self._index = MotionIndex(self._clips)
        self.labels: dict[str, list] = {}

    def __call__(self, recording: Recording, split: str) -> Iterator[SegmentClip]:
        """Yield the segments of a sequence."""
        place = f'{split}/{recording.name}'
        name = self._index.find(recording.path)
        if name is None:
            self.tally.note('sequences whose motion is not in the store', f'{place} ({recording.path})')
            return
        arrays = self._motion(self._clips[name])
        num_frames = len(next(iter(arrays.values())))
        seconds = num_frames / self.options.fps
        if recording.duration is not None and seconds < recording.duration - TRIMMED:
            self.tally.note('motions shorter than BABEL says', place)
        duration = min(seconds, recording.duration or seconds)
        known, number = self.labels.setdefault(recording.name, []), 0
        for labels in recording.annotations:
            labels = order_labels(labels, duration, place, self.tally)
            segments, said = cut_segments(labels, num_frames, self.options, place, self.tally)
            known += [list(entry) for entry in said if list(entry) not in known]
            for segment in segments:
                rows = slice(segment.start, segment.end)
                yield SegmentClip(f'{place}/{number:03d}', name.rpartition('/')[0], recording.name, self.options.fps,
                                  segment, {key: values[rows] for key, values in arrays.items()})
                number += 1

    def _motion(self, clip: Clip) -> dict[str, np.ndarray]:
        """Return the arrays (T, ...) of a motion at the frame rate wanted."""
        rows, fps = slice(clip.start, clip.start + clip.length), self.store.clip_fps(clip)
        arrays = {name: np.asarray(values[rows]) for name, values in self.store.arrays.items()}
        if fps == self.options.fps:
            return arrays
        return {name: (resample_rotations if name == 'smpl_pose' else resample)(values, fps, self.options.fps)
                for name, values in arrays.items()}
