"""Tell people apart over time where the detector did not: link the nearest poses from image to image."""
from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from motionbert_mm.io.keypoint_json import Detection, DetectionFile, frame_step

# Images in which a person may be missing: half a second of video. Longer gaps begin a new track.
MAX_GAP = 15
# Mean distance of the joints from where they were expected, relative to the size of the person: at 30 images a
# second half a body length is 25 m/s, at 5 images a second 4 m/s.
MAX_DISTANCE = 0.5
SMOOTHING = 0.5  # share of the latest step in the velocity
MAX_EXTRAPOLATION = 3  # images; nobody keeps direction for long
FORBIDDEN = 1e6  # cost of a pair that is too far apart; larger than any sum of allowed ones


def is_tracked(detections: Sequence[Detection]) -> bool:
    """Tell whether the detections carry identities.

    Official: AlphaPose without tracking (alphapose/utils/detector.py) writes ``idx`` 0 for everybody.
    """
    tracks = {detection.track for detection in detections}
    return tracks != {None} and not (tracks == {0} and has_crowds(detections))


def has_crowds(detections: Sequence[Detection]) -> bool:
    """Tell whether an image holds more than one person."""
    return max(Counter(detection.frame for detection in detections).values()) > 1


def link_people(file: DetectionFile, max_gap: int = MAX_GAP) -> DetectionFile:
    """Replace the track ids of a file by those that follow from proximity, see ``link_poses``."""
    poses = np.stack([detection.keypoints for detection in file.detections])
    frames = np.array([detection.frame for detection in file.detections])
    tracks = link_poses(poses, (frames - frames.min()) // frame_step(file.frames), max_gap=max_gap)
    return replace(file, detections=[replace(detection, track=int(track))
                                     for detection, track in zip(file.detections, tracks)])


def link_poses(poses: np.ndarray, frames: np.ndarray, *, max_gap: int = MAX_GAP,
               max_distance: float = MAX_DISTANCE) -> np.ndarray:
    """Give poses of several people track ids.

    From image to image, poses are assigned to the tracks so that the sum of the distances is least. A track is
    expected to move on with its velocity; the distance is the mean over the joints seen in both poses, relative to
    the size of the person.

    Args:
        poses: (N, J, 3) x and y in px, confidence; joints at confidence 0 are not looked at.
        frames: (N,) int, number of the image of each pose, counted in images.
        max_gap: images that a person may miss.
        max_distance: relative to the size of the person; farther poses begin a new track.

    Returns:
        (N,) int track ids, 0, 1, ... in order of appearance.
    """
    poses = np.asarray(poses, np.float64)
    points = np.where(poses[..., 2:] > 0, poses[..., :2], np.nan)  # (N, J, 2)
    sizes = _sizes(points)
    tracks = np.empty(len(poses), np.int64)
    people: list[_Person] = []
    num_tracks = 0
    order = np.argsort(frames, kind='stable')
    for rows in np.split(order, np.flatnonzero(np.diff(frames[order])) + 1):
        frame = int(frames[rows[0]])
        people = [person for person in people if frame - person.frame <= max_gap + 1]
        matches = _match(people, points[rows], sizes[rows], frame, max_distance)
        for pose, row in enumerate(rows):
            if pose in matches:
                matches[pose].move(points[row], sizes[row], frame)
                tracks[row] = matches[pose].track
            else:
                people.append(_Person(num_tracks, points[row], sizes[row], frame))
                tracks[row], num_tracks = num_tracks, num_tracks + 1
    return tracks


class _Person:
    """Where somebody was last seen, and how they moved."""

    def __init__(self, track: int, points: np.ndarray, size: float, frame: int) -> None:
        self.track, self.points, self.size, self.frame = track, points, size, frame
        self.velocity = np.zeros(2)  # px per image

    def expected(self, frame: int) -> np.ndarray:
        """Return the joints (J, 2) px expected in an image; NaN where unseen."""
        return self.points + self.velocity * min(frame - self.frame, MAX_EXTRAPOLATION)

    def move(self, points: np.ndarray, size: float, frame: int) -> None:
        """Take over a new pose; joints that it lacks stay where they were, moved along."""
        shift = np.sort(points - self.points, axis=0)  # NaN last
        shift = shift[(np.isfinite(shift[:, 0]).sum() - 1) // 2]  # median over the joints seen twice
        self.velocity = SMOOTHING * shift / (frame - self.frame) + (1 - SMOOTHING) * self.velocity
        points = np.where(np.isfinite(points), points, self.points + shift)
        self.points, self.size, self.frame = points, size, frame


def _match(people: Sequence[_Person], points: np.ndarray, sizes: np.ndarray, frame: int,
           max_distance: float) -> dict[int, _Person]:
    """Assign poses (N, J, 2) of one image to people; poses that fit nobody are left out."""
    if not people:
        return {}
    expected = np.stack([person.expected(frame) for person in people])  # (K, J, 2)
    distances = np.linalg.norm(expected[:, None] - points[None], axis=-1)  # (K, N, J)
    shared = np.isfinite(distances)
    means = np.where(shared, distances, 0.0).sum(-1) / np.maximum(shared.sum(-1), 1)
    scale = np.maximum(np.array([person.size for person in people])[:, None], sizes[None])
    costs = np.where(shared.any(-1), means / np.maximum(scale, 1.0), np.inf)
    allowed = costs <= max_distance
    chosen = zip(*linear_sum_assignment(np.where(allowed, costs, FORBIDDEN)))
    return {int(pose): people[person] for person, pose in chosen if allowed[person, pose]}


def _sizes(points: np.ndarray) -> np.ndarray:
    """Return the longer side (N,) px of the box around the seen joints."""
    low = np.where(np.isfinite(points), points, np.inf).min(axis=1)
    high = np.where(np.isfinite(points), points, -np.inf).max(axis=1)
    return np.maximum(high - low, 0.0).max(axis=-1)
