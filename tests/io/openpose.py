"""Folders as OpenPose writes them; shared by the tests of files and tools."""
import json

import numpy as np


def write_openpose(folder, people, frames=None, confidence=0.8, name='dance', person_id=(-1,)):
    """Write one JSON per frame; ``people`` is a list of (F, J, 2) px, NaN where a person is not in the frame."""
    folder.mkdir(parents=True, exist_ok=True)
    frames = range(len(people[0])) if frames is None else frames
    for index, frame in enumerate(frames):
        content = dict(version=1.3, people=[person_json(points[index], confidence, person_id) for points in people
                                            if np.isfinite(points[index]).any()])
        (folder / f'{name}_{frame:012d}_keypoints.json').write_text(json.dumps(content))
    return folder


def person_json(points, confidence=0.8, person_id=(-1,)):
    """One entry of "people"; joints that are NaN are written as OpenPose does, 0, 0, 0."""
    seen = np.isfinite(points).all(-1, keepdims=True)
    numbers = np.where(seen, np.concatenate([points, np.full((len(points), 1), confidence)], -1), 0.0)
    empty = {f'{part}_keypoints_{axes}d': [] for part in ('face', 'hand_left', 'hand_right') for axes in (2, 3)}
    return dict(person_id=list(person_id), pose_keypoints_2d=numbers.reshape(-1).round(3).tolist(),
                pose_keypoints_3d=[], **empty)
