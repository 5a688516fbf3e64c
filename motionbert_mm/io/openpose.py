"""Read the folder that OpenPose writes for a video: one JSON file per frame, people without identities."""
from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import numpy as np

from motionbert_mm.io.keypoint_json import Detection, DetectionFile, NobodySeenError, absent_as_zero, number_in_name
from motionbert_mm.io.plain_files import read_json

# By the number of joints: BODY_25 and the older COCO model.
OPENPOSE_SKELETONS = {25: 'body25', 18: 'coco18'}
SUFFIX = '_keypoints.json'
# The file of one frame is smaller, whoever is in it; results of a whole video may be large and need not be parsed.
MAX_FRAME_BYTES = 4 << 20


def is_openpose_folder(path: Path) -> bool:
    """Tell whether a folder holds the frames of OpenPose, by its first JSON file."""
    files = json_files(path)
    return bool(files) and is_openpose_frame(files[0])


def is_openpose_frame(path: Path) -> bool:
    """Tell whether a JSON file is one frame of OpenPose, by its content or, if it is torn, by its name."""
    if path.stat().st_size > MAX_FRAME_BYTES:
        return False
    try:
        content = read_json(path, '')
    except ValueError:
        return path.name.endswith(SUFFIX)
    return isinstance(content, dict) and 'people' in content


def json_files(path: Path) -> list[Path]:
    """List the JSON files of a folder by name, hidden ones left out."""
    if not path.is_dir():
        return []
    return sorted(file for file in path.iterdir() if file.suffix.lower() == '.json' and file.name[0] != '.')


def read_openpose(path: Path) -> DetectionFile:
    """Read all frames of a folder.

    Args:
        path: folder of ``NAME_000000000012_keypoints.json``, each ``{version, people: [{pose_keypoints_2d}]}``.

    Returns:
        The people of all frames; ``track`` is ``person_id`` where OpenPose ran with tracking, else None. Frames
        without people are known by their number only.

    Raises:
        FileNotFoundError: no JSON file in the folder.
        NobodySeenError: nobody in any frame.
        ValueError: a torn file, one of another format, or frames of several videos.
    """
    files = json_files(path)
    if not files:
        raise FileNotFoundError(f'{path}: no JSON file; expected the frames that OpenPose writes with --write_json')
    numbers, sources = {}, {}
    for file in files:
        number, source = number_in_name(file, file.name)
        sources.setdefault(source, file.name)
        if number in numbers:
            raise ValueError(f'{path}: {numbers[number]} and {file.name} both have frame number {number}; '
                             'expected one video per folder')
        numbers[number] = file.name
    if len(sources) > 1:
        first, second = list(sources.values())[:2]
        raise ValueError(f'{path}: {first} and {second} belong to different videos; expected one video per folder, '
                         'move the frames of each into a folder of its own')
    detections = [detection for frame, name in numbers.items() for detection in _read_frame(path / name, frame)]
    if not detections:
        raise NobodySeenError(f'{path}: nobody in any of the {len(files)} frames; expected a video that shows a person')
    counts = sorted({len(detection.keypoints) for detection in detections})
    if len(counts) > 1:
        raise ValueError(f'{path}: frames have different numbers of joints {counts}; '
                         'expected one pose model per folder')
    return DetectionFile(detections=detections, frames=np.array(sorted(numbers)))


def _read_frame(path: Path, frame: int) -> list[Detection]:
    """Read the people of one frame; those without a body (faces or hands alone) are left out."""
    content = read_json(path, 'run OpenPose on this frame again')
    if not isinstance(content, dict) or not isinstance(content.get('people'), list):
        raise ValueError(f'{path}: no list "people"; expected a frame of OpenPose, '
                         '{"version", "people": [{"pose_keypoints_2d"}]}')
    people = [(person, _keypoints_of(path, person)) for person in content['people']]
    return [Detection(frame=frame, track=_id_of(person), keypoints=keypoints, score=float(keypoints[:, 2].mean()))
            for person, keypoints in people if keypoints.any()]


def _keypoints_of(path: Path, person: Any) -> np.ndarray:
    """Return the body joints (J, 3) of a person: x, y in px, confidence."""
    numbers = None
    if isinstance(person, dict):
        numbers = person.get('pose_keypoints_2d', person.get('pose_keypoints'))  # the name before OpenPose 1.3
    try:
        keypoints = np.asarray(numbers, dtype=np.float64)
    except (TypeError, ValueError):
        keypoints = np.empty(())
    if numbers is None or keypoints.ndim != 1 or keypoints.size % 3:
        raise ValueError(f'{path}: a person without pose_keypoints_2d, or they are no list x, y, confidence, ...; '
                         'expected 75 numbers (BODY_25) or 54 (COCO)')
    return absent_as_zero(keypoints.reshape(-1, 3))


def _id_of(person: dict) -> Optional[int]:
    """Return the identity; OpenPose writes [-1] where it does not track."""
    identity = person.get('person_id')
    identity = identity[0] if isinstance(identity, list) and identity else identity
    return int(identity) if isinstance(identity, (int, float)) and identity >= 0 else None
