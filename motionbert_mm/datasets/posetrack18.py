"""PoseTrack18: annotated 2D tracks, as MotionBERT takes them for pretraining."""
from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

import numpy as np

from motionbert_mm.datasets.tracks import Track, cut_at_gaps
from motionbert_mm.io.plain_files import read_json
from motionbert_mm.structures.skeleton import get_skeleton

SKELETON = 'posetrack18'
# Names of the files that differ from those of the skeleton table.
_NAMES = {'head_bottom': 'upper_neck'}
# Where to look when the content is not what it should be.
_EXPECTED = 'expected a file of PoseTrack18, annotations/train/<video>.json with images, annotations and categories'


@dataclass(frozen=True)
class TrackFilter:
    """Which tracks, and which of their frames, become clips.

    The values are those of MotionBERT, lib/data/dataset_motion_2d.py, which does not look for gaps: neighbours in a
    clip may be images far apart.

    Attributes:
        min_frames: annotated frames that a track must have; also the frames that are taken.
        min_visible: share of the joints of the clip, in the order of the file, that must be more than reached.
        whole: take all frames of a track instead of the first ``min_frames``.
        cut_gaps: part tracks where an image is missing, before counting.
    """

    min_frames: int = 30
    min_visible: float = 0.6
    whole: bool = False
    cut_gaps: bool = False

    def __call__(self, track: Track) -> tuple[list[Track], Counter]:
        """Return the clips of a track and, by reason, how many it lost."""
        clips, lost = [], Counter()
        for part in cut_at_gaps(track) if self.cut_gaps else [track]:
            clip = part if self.whole else part.take(slice(self.min_frames))
            if len(clip) < self.min_frames:
                lost[f'shorter than {self.min_frames} frames'] += 1
            elif clip.confidence.sum() <= self.min_visible * clip.confidence.size:
                lost[f'at most {self.min_visible:.0%} of the joints visible'] += 1
            elif not has_root(clip).all():
                lost['without a hip in some frame'] += 1
            else:
                clips.append(clip)
        return clips, lost


@dataclass(frozen=True)
class PoseTrackFile:
    """The tracks of an annotation file and, by reason, how many annotations were not used."""

    tracks: list
    unused: Counter = field(default_factory=Counter)


def has_root(track: Track) -> np.ndarray:
    """Tell in which frames (F,) both hips, and with them the root, are visible."""
    skeleton = get_skeleton(SKELETON)
    hips = [skeleton.index('left_hip'), skeleton.index('right_hip')]
    return track.confidence[:, hips].min(axis=1) > 0


def find_annotations(folder: Path) -> list[Path]:
    """List the annotation files of a folder; anything else in it is passed over.

    Raises:
        FileNotFoundError: no folder, or no *.json in it.
    """
    files = sorted(path for path in folder.glob('[!.]*.json') if path.is_file())
    if not files:
        raise FileNotFoundError(f'{folder} holds no *.json; {_EXPECTED}: give the folder of one split')
    return files


def read_tracks(path: Path) -> PoseTrackFile:
    """Read an annotation file.

    Confidence is the visibility: 1 or 0. Frames are numbered by the place of the image among all images of its
    video, labelled or not. Of two annotations of a track in one image the first counts.

    Args:
        path: official file of one video, or a file of many videos in the same format (MMPose).

    Raises:
        ValueError: torn, other JSON, unknown joints, keypoints that are no numbers.
    """
    content = _read_content(path)
    order, images = _joint_order(path, content['categories']), _image_places(path, content['images'])
    people: dict = defaultdict(dict)
    unused: Counter = Counter()
    for number, annotation in enumerate(content['annotations']):
        if not annotation.get('keypoints'):
            unused['without keypoints'] += 1
            continue
        image_id, person = annotation.get('image_id'), annotation.get('track_id')
        image = images.get(image_id) if isinstance(image_id, int) else None
        if image is None or not isinstance(person, (int, str)):
            raise ValueError(f'{path}: annotation {number} has image_id {image_id!r} and track_id {person!r}; expected '
                             'an id of images, and a track')
        frames = people[image['video'], person]
        if image['frame'] in frames:
            unused['of a track that is in the image already'] += 1
        else:
            frames[image['frame']] = _keypoints(path, number, annotation['keypoints'], order)
    sizes = {image['video']: image['size'] for image in images.values()}
    several = len(sizes) > 1
    tracks = [_stack(f'{path.stem}/{video}#{person}' if several else f'{path.stem}#{person}', frames, sizes[video])
              for (video, person), frames in people.items()]
    return PoseTrackFile(tracks, unused)


def _read_content(path: Path) -> dict:
    content = read_json(path, 'download it again')
    for key in ('images', 'annotations', 'categories'):
        entries = content.get(key) if isinstance(content, dict) else None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise ValueError(f'{path} has no list {key!r}; {_EXPECTED}')
    return content


def _joint_order(path: Path, categories: Sequence[dict]) -> list[int]:
    """Return for each joint of the skeleton its place in the file."""
    names = categories[0].get('keypoints') if categories else None
    names = [_NAMES.get(name, name) for name in map(str, names if isinstance(names, list) else ())]
    joints = get_skeleton(SKELETON).joints
    if sorted(names) != sorted(joints):
        raise ValueError(f'{path}: categories[0].keypoints are {", ".join(names) or "missing"}; expected '
                         f'{", ".join(joints)} (upper_neck is called head_bottom)')
    return [names.index(joint) for joint in joints]


def _image_places(path: Path, images: Sequence[dict]) -> dict:
    """Map image ids to video, frame number in it, and size."""
    videos: dict = defaultdict(list)
    for image in images:
        if not isinstance(image.get('id'), int):
            raise ValueError(f'{path}: an image has id {image.get("id")!r}; expected a number')
        videos[str(image.get('vid_id'))].append(image)
    places = {}
    for video, entries in videos.items():
        for frame, image in enumerate(sorted(entries, key=lambda image: image['id'])):
            places[image['id']] = dict(video=video, frame=frame, size=_image_size(image))
    return places


def _image_size(image: dict) -> Optional[tuple]:
    """Return (width, height) in pixels where an image states them."""
    size = image.get('width'), image.get('height')
    return size if all(isinstance(side, (int, float)) and side > 0 for side in size) else None


def _keypoints(path: Path, number: int, values: Any, order: Sequence[int]) -> np.ndarray:
    """Return x, y in px and visibility 0 or 1, (J, 3) in the order of the skeleton."""
    try:
        points = np.asarray(values, np.float64).reshape(len(order), 3)[order]
    except (TypeError, ValueError):
        raise ValueError(f'{path}: keypoints of annotation {number} are not {3 * len(order)} numbers x, y, '
                         'visibility') from None
    if not np.isfinite(points).all() or points[:, 2].min() < 0:
        raise ValueError(f'{path}: keypoints of annotation {number} hold NaN or a negative visibility')
    points[:, 2] = points[:, 2] > 0  # COCO's 1 and 2 are both seen
    return points


def _stack(name: str, frames: dict, size: Any) -> Track:
    """Make a track of frame number -> keypoints (J, 3)."""
    numbers = np.array(sorted(frames))
    points = np.stack([frames[number] for number in numbers])
    return Track(name, numbers, points[..., :2], points[..., 2], size)
