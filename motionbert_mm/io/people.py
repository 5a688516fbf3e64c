"""Read everybody in the detector results of a video, as gapless tracks."""
from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Optional, Union

import numpy as np

from motionbert_mm.io.keypoint_files import (
    ARRAY_SUFFIXES,
    EXPECTED,
    KeypointTrack,
    check_numbers,
    check_order,
    fill_joints,
    name_joints,
    read_detector,
)
from motionbert_mm.io.keypoint_json import (
    Detection,
    DetectionFile,
    NobodySeenError,
    best_per_frame,
    frame_step,
    place_on_frames,
)
from motionbert_mm.io.openpose import is_openpose_frame, json_files
from motionbert_mm.io.tracking import MAX_GAP, has_crowds, is_tracked, link_people
from motionbert_mm.structures.skeleton import get_skeleton

MAX_LISTED = 8  # people that an error lists
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


def find_videos(root: Path, *, with_arrays: bool = False) -> dict[str, Path]:
    """Find the detector results under a folder.

    Args:
        root: a result file; a folder of OpenPose; or a folder with result files and folders of either, at any depth.
        with_arrays: look for .npy and .npz too.

    Returns:
        Name of each video -> JSON file (AlphaPose, COCO style), folder (OpenPose) or array. The name is the path below
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
        results = json_files(Path(folder))
        if results and is_openpose_frame(results[0]):
            results = [Path(folder)]
        if with_arrays:
            results = results + array_files(Path(folder))
        for path in results:
            name = _video_name(root, path)
            if name in videos:
                raise ValueError(f'{videos[name]} and {path} are both named {name!r}; rename one of them')
            videos[name] = path
    if not videos and with_arrays:
        raise FileNotFoundError(f'{root}: no keypoint file; {EXPECTED}')
    if not videos:
        raise FileNotFoundError(f'{root}: no JSON file; expected results of AlphaPose or in COCO style, one file per '
                                'video, or folders of the frames that OpenPose writes')
    return videos


def array_files(folder: Path) -> list[Path]:
    """List the .npy and .npz files of a folder by name, hidden ones left out."""
    return sorted(file for file in folder.iterdir()
                  if file.suffix.lower() in ARRAY_SUFFIXES and file.name[0] != '.')


def _video_name(root: Path, path: Path) -> str:
    """Return the path of a result below the root, without suffix."""
    path = path if path.is_dir() else path.parent if path.stem == ALPHAPOSE_NAME else path.with_suffix('')
    below = path.relative_to(root).as_posix()
    return root.absolute().name if below == '.' else below


def read_people(path: Path, *, skeleton: Optional[str] = None, max_gap: int = MAX_GAP, min_frames: int = 1,
                lone_is_one: bool = False, trust_order: bool = False) -> People:
    """Read everybody in the results of one video.

    A person missing for up to ``max_gap`` images is interpolated with confidence 0, and so are single joints that are
    NaN or have confidence 0; longer gaps part the track. Without identities, people are linked over time by proximity.

    Args:
        path: JSON file of AlphaPose or in COCO style, folder of OpenPose, or .npy or .npz of one person, all as
            ``read_keypoints`` reads them.
        skeleton: joint set; of detector results guessed from the number of joints if None.
        max_gap: images.
        min_frames: images that a track must span.
        lone_is_one: without identities, a video that never shows two people at a time shows one person, 0.
        trust_order: accept a joint order that looks wrong.

    Raises:
        FileNotFoundError, KeyError, NobodySeenError, ValueError: as ``read_keypoints``.
    """
    file = read_detector(path)
    file, name = _with_known_joints(path, file, skeleton)
    is_linked = not is_tracked(file.detections)
    if is_linked and lone_is_one and not has_crowds(file.detections):
        is_linked = False
        file = replace(file, detections=[replace(detection, track=0) for detection in file.detections])
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


def read_persons(path: Path, *, skeleton: Optional[str] = None, track: Optional[Union[int, str]] = None,
                 trust_order: bool = False) -> tuple[People, tuple]:
    """Read everybody in the results of one video, or one of them, each as one track.

    As ``read_people``, but with all stays of a person on one frame axis; a person is away where all joints have
    confidence 0 for more than MAX_GAP images.

    Args:
        path: as for ``read_people``.
        skeleton: as there.
        track: id of a person; None reads everybody.
        trust_order: accept a joint order that looks wrong.

    Returns:
        The people, the one seen in most frames first, and notes on what was assumed and left out, one sentence each.

    Raises:
        FileNotFoundError, KeyError, ValueError: as ``read_keypoints``; also no such person.
        NobodySeenError: nobody can be followed.
    """
    people = read_people(path, skeleton=skeleton, lone_is_one=True, trust_order=trust_order)
    stays: dict = defaultdict(list)
    for stay in people.tracks:
        stays[stay.track_id].append(stay)
    if not stays:
        reasons = ', '.join(f'{count} {reason}' for reason, count in people.dropped.items())
        raise NobodySeenError(f'{path}: nobody can be followed ({reasons})')
    tracks = sorted((_join(parts, people.step) for parts in stays.values()), key=_frames_seen, reverse=True)
    notes = () if skeleton else (f'took the joints for {tracks[0].skeleton}',)
    notes += ('people without track ids: linked them over time by their distance',) if people.is_linked else ()
    notes += (f'images are numbered in steps of {people.step}: give the frame rate of the images, not of the video',
              ) if people.step > 1 else ()
    notes += tuple(f'left out {count}, {reason}' for reason, count in people.dropped.items())
    if track is not None:
        listed = ', '.join(f'{person.track_id} ({_frames_seen(person)} frames)' for person in tracks[:MAX_LISTED])
        tracks = [person for person in tracks if str(person.track_id) == str(track)]
        if not tracks:
            raise ValueError(f'{path}: no track {track}; tracks here: {listed}')
    return replace(people, tracks=tracks), notes


def _join(stays: Sequence[KeypointTrack], step: int) -> KeypointTrack:
    """Put the stays of a person on one frame axis, with zeros between them."""
    first = stays[0].frame_ids[0]
    frame_ids = np.arange(first, stays[-1].frame_ids[-1] + 1, step)
    keypoints = np.zeros((len(frame_ids), *stays[0].keypoints.shape[1:]), np.float32)
    confidence = np.zeros(keypoints.shape[:-1], np.float32)
    for stay in stays:
        rows = (stay.frame_ids - first) // step
        keypoints[rows], confidence[rows] = stay.keypoints, stay.confidence
    return replace(stays[0], keypoints=keypoints, confidence=confidence, frame_ids=frame_ids,
                   notes=tuple(dict.fromkeys(note for stay in stays for note in stay.notes)))


def _frames_seen(track: KeypointTrack) -> int:
    return int((track.confidence > 0).any(axis=1).sum())


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
            if not any((detection.keypoints[:, 2] > 0).any() for detection in stay):
                dropped['never seen: confidence 0 in all frames'] += 1
            elif length < min_frames:
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
