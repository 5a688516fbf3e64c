"""Files of PoseTrack18 and InstaVariety in their formats, made of keypoint arrays."""
from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np

from motionbert_mm.datasets.instavariety import NAMES

# As categories[0].keypoints lists them.
POSETRACK_JOINTS = ('nose', 'head_bottom', 'head_top', 'left_ear', 'right_ear', 'left_shoulder', 'right_shoulder',
                    'left_elbow', 'right_elbow', 'left_wrist', 'right_wrist', 'left_hip', 'right_hip', 'left_knee',
                    'right_knee', 'left_ankle', 'right_ankle')


def make_track(num_frames: int, seed: int = 0, missing: float = 0.0) -> np.ndarray:
    """Points (F, 17, 3) of x, y in px and visibility 1; a share of the joints is missing: zeros."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(100, 900, (num_frames, 17, 3))
    points[..., 2] = 1
    points[rng.random((num_frames, 17)) < missing] = 0
    return points


def posetrack_content(tracks: Sequence[np.ndarray], frames: Optional[Sequence] = None, first_image: int = 10003420000,
                      video: str = '000342') -> dict:
    """One video; ``frames`` are the image numbers of each track, 0, 1, ... where not given."""
    frames = frames or [range(len(track)) for track in tracks]
    length = max(max(numbers) for numbers in frames) + 1
    images = [dict(file_name=f'images/train/{video}_mpii_train/{number:06d}.jpg', has_no_densepose=True, nframes=length,
                   is_labeled=any(number in numbers for numbers in frames), vid_id=video, id=first_image + number,
                   frame_id=first_image + number) for number in range(length)]
    annotations = [dict(keypoints=points.reshape(-1).tolist(), track_id=person, image_id=first_image + int(number),
                        bbox=[0.0, 0.0, 10.0, 10.0], bbox_head=[], scores=[], category_id=1,
                        id=100 * (first_image + int(number)) + person)
                   for person, (track, numbers) in enumerate(zip(tracks, frames))
                   for points, number in zip(track, numbers)]
    annotations.sort(key=lambda annotation: annotation['id'])  # image by image, as in the files
    category = dict(supercategory='person', id=1, name='person', keypoints=list(POSETRACK_JOINTS), skeleton=[[16, 14]])
    return dict(images=images, annotations=annotations, categories=[category])


def write_posetrack(path: Path, tracks: Sequence[np.ndarray], **facts: Any) -> Path:
    """Write a video; ``facts`` as in ``posetrack_content``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(posetrack_content(tracks, **facts)))
    return path


def write_track_folder(folder: Path, track: np.ndarray, frames: Optional[Sequence[int]] = None) -> Path:
    """Write a track (F, 17, 3) of Human3.6M joints as the authors of InstaVariety do, one JSON per frame."""
    folder.mkdir(parents=True, exist_ok=True)
    for frame, points in zip(frames or range(len(track)), track):
        joints = {name: dict(x=x, y=y, logits=score, probability=None)
                  for name, (x, y, score) in zip(NAMES, points.tolist()) if name}
        content = dict(frame=frame, imloc=f'{frame + 1:06d}.png', track_id=3,
                       bbox=dict(xmin=1.0, ymin=2.0, xmax=3.0, ymax=4.0), **joints)
        content['R Big Toe'] = dict(x=1.0, y=2.0, logits=0.5, probability=None)
        (folder / f'{frame:08d}.json').write_text(json.dumps(content))
    return folder


def write_packed(folder: Path, tracks: Sequence[np.ndarray], ids: Optional[Sequence] = None) -> Path:
    """Write motion_all.npy and id_all.npy."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / 'motion_all.npy', np.concatenate(tracks))
    np.save(folder / 'id_all.npy', np.repeat(ids or np.arange(len(tracks)), [len(track) for track in tracks]))
    return folder
