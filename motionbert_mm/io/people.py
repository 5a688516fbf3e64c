"""Read everybody in the detector results of a video, as gapless tracks."""
from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

import numpy as np

from motionbert_mm.io.keypoint_files import (
    KeypointTrack,
    check_numbers,
    check_order,
    fill_joints,
    name_joints,
    read_detector,
)
from motionbert_mm.io.keypoint_json import Detection, DetectionFile, best_per_frame, frame_step, place_on_frames
from motionbert_mm.io.openpose import is_openpose_frame, json_files
from motionbert_mm.io.tracking import MAX_GAP, is_tracked, link_people
from motionbert_mm.structures.skeleton import get_skeleton

MIN_SEEN = 0.5  # share of the frames of a track in which the person was detected
ALPHAPOSE_NAME = 'alphapose-results'  # AlphaPose gives this name to the results of every video


@dataclass(frozen=True)
class People:
    """Everybody of one video who can be followed for long enough.

    Attributes:
        tracks: one per unbroken stay of a person in the video; ``track_id`` says who it is.
        dropped: reason -> number of stays left out.
        step: frames of the video from one image to the next.
        is_linked: identities were found by proximity, because the detector gave none.
    """

    tracks: list = field(default_factory=list)
    dropped: Counter = field(default_factory=Counter)
    step: int = 1
    is_linked: bool = False


def find_videos(root: Path) -> dict[str, Path]:
    """Find the detector results under a folder.

    Args:
        root: a result file; a folder of OpenPose; or a folder with result files and folders of either, at any depth.

    Returns:
        Name of each video -> JSON file (AlphaPose, COCO style) or folder (OpenPose). The name is the path below
        ``root`` without suffix; a file that AlphaPose named alike for every video takes the name of its folder.

    Raises:
        FileNotFoundError: nothing there.
        ValueError: two results of the same name.
    """
    if not root.exists():
        raise FileNotFoundError(f'{root}: no such file or folder')
    if root.is_file():
        return {root.stem: root}
    videos: dict[str, Path] = {}
    for folder, below, _ in os.walk(root, followlinks=True):
        below.sort()
        files = json_files(Path(folder))
        if not files:
            continue
        results = [Path(folder)] if is_openpose_frame(files[0]) else files
        for path in results:
            name = _video_name(root, path)
            if name in videos:
                raise ValueError(f'{videos[name]} and {path} are both named {name!r}; rename one of them')
            videos[name] = path
    if not videos:
        raise FileNotFoundError(f'{root}: no JSON file; expected results of AlphaPose or in COCO style, one file per '
                                'video, or folders of the frames that OpenPose writes')
    return videos


def _video_name(root: Path, path: Path) -> str:
    """Return the path of a result below the root, without suffix."""
    path = path if path.is_dir() else path.parent if path.stem == ALPHAPOSE_NAME else path.with_suffix('')
    below = path.relative_to(root).as_posix()
    return root.absolute().name if below == '.' else below


def read_people(path: Path, *, skeleton: Optional[str] = None, max_gap: int = MAX_GAP, min_frames: int = 1,
                trust_order: bool = False) -> People:
    """Read everybody in the results of one video.

    A person missing for up to ``max_gap`` images is interpolated with confidence 0, and so are single joints that are
    NaN or have confidence 0; longer gaps part the track. Without identities, people are linked over time by proximity.

    Args:
        path: JSON file of AlphaPose or in COCO style, or folder of OpenPose.
        skeleton: joint set; guessed from the number of joints if None.
        max_gap: images.
        min_frames: images that a track must span.
        trust_order: accept a joint order that looks wrong.

    Raises:
        KeyError: unknown skeleton.
        ValueError: as ``read_keypoints``.
    """
    file = read_detector(path)
    file, name = _with_known_joints(path, file, skeleton)
    is_linked = not is_tracked(file.detections)
    if is_linked:
        file = link_people(file, max_gap)
    stays, dropped = _stays(file, max_gap, min_frames)
    tracks = []
    for track, stay in stays:
        points, frame_ids, _ = place_on_frames(path, stay, file.frames)
        tracks.append(KeypointTrack(keypoints=points[..., :2], confidence=points[..., 2], frame_ids=frame_ids,
                                    track_id=track, skeleton=name))
    if tracks and not trust_order:
        check_order(path, _concatenate(tracks))
    return People([fill_joints(track) for track in tracks], dropped, frame_step(file.frames), is_linked)


def _with_known_joints(path: Path, file: DetectionFile, skeleton: Optional[str]) -> tuple[DetectionFile, str]:
    """Bring the joints of all detections into the order of the skeleton and refuse what is no pixel."""
    target = None if skeleton is None else get_skeleton(skeleton)
    poses, name, _ = name_joints(path, file, np.stack([item.keypoints for item in file.detections]), target)
    frames = np.array([item.frame for item in file.detections])
    check_numbers(path, KeypointTrack(poses[..., :2], poses[..., 2], frames, None, name), get_skeleton(name))
    detections = [Detection(item.frame, item.track, pose, item.score)
                  for item, pose in zip(file.detections, poses)]
    return DetectionFile(detections, file.frames), name


def _stays(file: DetectionFile, max_gap: int, min_frames: int) -> tuple[list, Counter]:
    """Part the detections of each person where the person is away for long; leave out what is too little."""
    people: dict = defaultdict(list)
    for detection in file.detections:
        people[detection.track].append(detection)
    stays, dropped, step = [], Counter(), frame_step(file.frames)
    dropped['detections without a track id'] = len(people.pop(None, ()))
    for track, detections in people.items():
        for stay in _split(best_per_frame(detections), max_gap * step + step):
            length = (stay[-1].frame - stay[0].frame) // step + 1
            if length < min_frames:
                dropped[f'shorter than {min_frames} frames'] += 1
            elif len(stay) < MIN_SEEN * length:
                dropped[f'seen in less than {MIN_SEEN:.0%} of the frames'] += 1
            else:
                stays.append((track, stay))
    return stays, +dropped


def _split(detections: Sequence[Detection], max_step: int) -> list[list[Detection]]:
    """Part detections in the order of their frames wherever the next one is more than ``max_step`` frames away."""
    frames = np.array([detection.frame for detection in detections])
    edges = [0, *(np.flatnonzero(np.diff(frames) > max_step) + 1), len(detections)]
    return [list(detections[start:end]) for start, end in zip(edges, edges[1:])]


def _concatenate(tracks: Sequence[KeypointTrack]) -> KeypointTrack:
    """Put all tracks of a video behind each other, to judge them together."""
    return KeypointTrack(np.concatenate([track.keypoints for track in tracks]),
                         np.concatenate([track.confidence for track in tracks]),
                         np.concatenate([track.frame_ids for track in tracks]), None, tracks[0].skeleton)
