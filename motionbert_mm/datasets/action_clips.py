"""Clips of single actions cut out of keypoint files."""
from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np

from motionbert_mm.datasets.action_files import ClipSource
from motionbert_mm.io.image_sizes import check_inside
from motionbert_mm.io.keypoint_files import KeypointTrack
from motionbert_mm.io.keypoint_json import NobodySeenError
from motionbert_mm.io.people import People, read_people
from motionbert_mm.io.tracking import MAX_GAP

MIN_FRAMES = 5  # images in which a person must be seen; fewer show no motion
NOBODY = 'in which nobody is seen'
TOO_SHORT = f'shorter than {MIN_FRAMES} frames, or seen in fewer'
EPSILON = 1e-6  # of a frame: 1.12 s at 25 fps is frame 28, not 29


class ShortClipError(ValueError):
    """A clip in which nobody is seen for long enough."""


@dataclass(frozen=True)
class ActionClip:
    """One clip; the person seen most comes first.

    Attributes:
        source: where it is from.
        keypoints: (M, T, J, 2) float32 px; 0 in frames in which a person is absent.
        confidence: (M, T, J) float32; 0 where a joint was not seen.
        image_size: (width, height) px.
    """

    source: ClipSource
    keypoints: np.ndarray
    confidence: np.ndarray
    image_size: tuple


class ActionClips:
    """Clips read file by file, and what was left out.

    Args:
        skeleton: joint order of the files.
        fps: frame rate of the images.
        num_persons: most persons of a clip.
        max_gap: images that a person may miss and be interpolated, with confidence 0.
        trust_order: accept joints in an order that looks wrong.

    Attributes:
        clips: so far.
        left_out: reason -> names of clips.
        crowds: name of a clip that shows more persons than ``num_persons`` -> how many.
        dropped: reason -> number of stays of persons left out by ``read_people``.
        steps: step at which the images of a file are numbered -> number of files.
    """

    def __init__(self, *, skeleton: str, fps: float, num_persons: int = 1, max_gap: int = MAX_GAP,
                 trust_order: bool = False) -> None:
        self.skeleton, self.fps, self.num_persons = skeleton, fps, num_persons
        self.max_gap, self.trust_order = max_gap, trust_order
        self.clips: list[ActionClip] = []
        self.left_out: dict[str, list[str]] = defaultdict(list)
        self.crowds: dict[str, int] = {}
        self.dropped: Counter = Counter()
        self.steps: Counter = Counter()

    def add(self, path: Path, sources: Sequence[ClipSource], image_size: tuple) -> None:
        """Read a file and cut its clips.

        Args:
            path: the file.
            sources: of the clips that are cut out of it.
            image_size: (width, height) px.

        Raises:
            FileNotFoundError, ValueError: see ``read_people`` and ``check_inside``; no clip of the file is kept.
        """
        try:
            people = read_people(path, skeleton=self.skeleton, max_gap=self.max_gap, trust_order=self.trust_order)
        except NobodySeenError:
            self.left_out[NOBODY] += [source.name for source in sources]
            return
        if people.tracks:
            check_inside(path, people.tracks, image_size)
        self.dropped.update(people.dropped)
        self.steps[people.step] += 1
        for source in sources:
            self._add_clip(people, source, image_size)

    def _add_clip(self, people: People, source: ClipSource, image_size: tuple) -> None:
        try:
            points, num_seen = cut_clip(people, fps=self.fps, start=source.start, end=source.end,
                                        num_persons=self.num_persons)
        except (NobodySeenError, ShortClipError) as error:
            self.left_out[NOBODY if isinstance(error, NobodySeenError) else TOO_SHORT].append(source.name)
            return
        if num_seen > self.num_persons:
            self.crowds[source.name] = num_seen
        self.clips.append(ActionClip(source, points[..., :2], points[..., 2], image_size))


def cut_clip(people: People, *, fps: float, start: Optional[float] = None, end: Optional[float] = None,
             num_persons: int = 1) -> tuple[np.ndarray, int]:
    """Cut a clip out of the people of a video: those seen most, on one time axis.

    The axis begins and ends where one of them is seen. Second 0 is frame number 0 of the video. People who were linked
    by proximity and are never there at the same time are taken for one, as a lifter takes them.

    Args:
        people: as ``read_people`` returns them.
        fps: frame rate of the images.
        start: seconds; None is the beginning.
        end: seconds, not included; None is the end.
        num_persons: most persons.

    Returns:
        Points (M, T, J, 3) float32 of x, y in px and confidence; M is 1 to ``num_persons``, the person of the largest
        sum of confidence first; frames in which a person is absent are 0. And the number of persons who are seen in
        ``MIN_FRAMES`` images or more.

    Raises:
        NobodySeenError: nobody is seen between start and end.
        ShortClipError: nobody is seen in ``MIN_FRAMES`` images.
    """
    first = 0 if start is None else np.ceil(start * fps - EPSILON)
    last = np.inf if end is None else np.ceil(end * fps - EPSILON)
    persons = [_cut_person(tracks, people.step, first, last) for tracks in _tracks_by_person(people)]
    counts = [np.count_nonzero((points[..., 2] > 0).any(-1)) for _, points in persons]
    if not any(counts):
        raise NobodySeenError(NOBODY)
    persons = [person for person, count in zip(persons, counts) if count >= MIN_FRAMES]
    if not persons:
        raise ShortClipError(TOO_SHORT)
    chosen = sorted(persons, key=lambda person: -float(person[1][..., 2].sum()))[:num_persons]
    return _on_one_axis(chosen), len(persons)


def _tracks_by_person(people: People) -> list[list[KeypointTrack]]:
    """Gather the stays of each person."""
    in_order = sorted(people.tracks, key=lambda track: track.frame_ids[0])
    if people.is_linked and all(before.frame_ids[-1] < after.frame_ids[0]
                                for before, after in zip(in_order, in_order[1:])):
        return [in_order]
    persons: dict = defaultdict(list)
    for track in in_order:
        persons[track.track_id].append(track)
    return list(persons.values())


def _cut_person(tracks: Sequence[KeypointTrack], step: int, first: float,
                last: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the images (N,) from first to before last in which a person is there, and the points (N, J, 3)."""
    frames = np.concatenate([track.frame_ids // step for track in tracks])
    points = np.concatenate([np.concatenate([track.keypoints, track.confidence[..., None]], -1) for track in tracks])
    is_inside = (frames >= first) & (frames < last)
    return frames[is_inside], points[is_inside]


def _on_one_axis(persons: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Put persons on the images from the first to the last in which one of them is seen: (M, T, J, 3)."""
    seen = np.concatenate([frames[(points[..., 2] > 0).any(-1)] for frames, points in persons])
    begin, length = seen.min(), seen.max() - seen.min() + 1
    clip = np.zeros((len(persons), length, *persons[0][1].shape[1:]), np.float32)
    for row, (frames, points) in zip(clip, persons):
        is_inside = (frames >= begin) & (frames < begin + length)
        row[frames[is_inside] - begin] = points[is_inside]
    return clip
