"""MPI-INF-3DHP: what the data set itself fixes, whatever files it comes in.

Two forms are read, each by a file of its own: ``mpi_inf_3dhp_download``, the official download, and
``mpi_inf_3dhp_npz``, the two files that P-STMO makes of it and that later systems share. Joints are the 17 of the test
set, coordinates those of the camera frame. The training set is seen by 14 cameras of a green-screen studio, the test
set by one camera for each sequence.
"""
from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Optional

import numpy as np

from motionbert_mm.datasets.pose_files import PoseFiles, PoseSequence, check_array, check_extent, check_pixels
from motionbert_mm.structures.skeleton import get_skeleton

SKELETON = get_skeleton('mpi_inf_3dhp17')
NUM_CAMERAS = 14
OFFICIAL_CAMERAS = (0, 1, 2, 4, 5, 6, 7, 8)  # Official: P-STMO, common/data_to_npz_3dhp.py
FPS = 25.0  # of most training sequences; the files do not say that of the test sequences
MAX_ACTIVITY = 7  # activities of the test set have the numbers 1 to 7


class Recording(NamedTuple):
    """What is known of a sequence.

    Attributes:
        frames: their number.
        fps: frames per second.
        valid: number of frames that are evaluated; None is all.
        camera: name of the one camera, of a test sequence.
        image_size: width and height in pixels.
    """

    frames: int
    fps: float = FPS
    valid: Optional[int] = None
    camera: str = ''
    image_size: tuple[int, int] = (2048, 2048)


# Source: P-STMO, common/utils_3dhp.py.
TRAIN = {
    'S1/Seq1': Recording(6416), 'S1/Seq2': Recording(12430, 50.0),
    'S2/Seq1': Recording(6502), 'S2/Seq2': Recording(6081),
    'S3/Seq1': Recording(12488, 50.0), 'S3/Seq2': Recording(12283, 50.0),
    'S4/Seq1': Recording(6171), 'S4/Seq2': Recording(6675),
    'S5/Seq1': Recording(12820, 50.0), 'S5/Seq2': Recording(12312, 50.0),
    'S6/Seq1': Recording(6188), 'S6/Seq2': Recording(6145),
    'S7/Seq1': Recording(6239), 'S7/Seq2': Recording(6320),
    'S8/Seq1': Recording(6468), 'S8/Seq2': Recording(6054),
}
# Source: annot_data.mat of the test set; sizes from P-STMO, common/load_data_3dhp_mae.py. In the calibration of the
# test set the first four sequences have one camera and the others one.
TEST = {
    'TS1': Recording(6151, valid=603, camera='TS1-4'), 'TS2': Recording(6080, valid=540, camera='TS1-4'),
    'TS3': Recording(5838, valid=505, camera='TS1-4'), 'TS4': Recording(6007, valid=553, camera='TS1-4'),
    'TS5': Recording(320, valid=276, camera='TS5-6', image_size=(1920, 1080)),
    'TS6': Recording(492, valid=452, camera='TS5-6', image_size=(1920, 1080)),
}
SPLITS = {'train': TRAIN, 'test': TEST}


class View(NamedTuple):
    """What files know of a sequence seen by one camera.

    Attributes:
        keypoints_2d: (T, 17, 2) pixels.
        keypoints_3d: (T, 17, 3) millimetres, camera frame.
        intrinsics: (fx, fy, cx, cy) in pixels.
        valid: (T,) is the frame evaluated.
        activity: (T,) number of the activity.
    """

    keypoints_2d: np.ndarray
    keypoints_3d: np.ndarray
    intrinsics: Optional[tuple] = None
    valid: Optional[np.ndarray] = None
    activity: Optional[np.ndarray] = None


class MPIInf3DHPFiles(PoseFiles):
    """The files of one form of MPI-INF-3DHP.

    Training clips are ``S1/Seq1.0`` (camera 0), test clips ``TS1``; the action of a clip is its sequence. Test clips
    say which frames are evaluated (``valid``) and, where the files know it, what is done in them (``activity``).

    Args:
        cameras: numbers of the training cameras to use.
        fps: bring training sequences of a multiple of this frame rate down to it. Official: sequences of 25 and of 50
            frames per second are mixed as they are.

    Raises:
        ValueError: a camera that does not exist, or a frame rate that the files cannot be brought to.
    """

    skeleton = SKELETON.name

    def __init__(self, *, cameras: Sequence[int] = OFFICIAL_CAMERAS, fps: Optional[float] = None) -> None:
        wrong = [camera for camera in cameras if not 0 <= camera < NUM_CAMERAS]
        if wrong or not cameras or len(set(cameras)) < len(cameras):
            raise ValueError(f'cameras are {list(cameras)}, expected different numbers from 0 to {NUM_CAMERAS - 1}')
        if fps is not None and not (fps > 0 and all(facts.fps % fps == 0 for facts in TRAIN.values())):
            raise ValueError(f'cannot bring all sequences to {fps:g} frames per second by leaving frames out: they '
                             f'have {FPS:g} or {2 * FPS:g}')
        self.cameras, self.target_fps = tuple(cameras), fps
        self._lengths: dict[str, str] = {}  # words on sequences that are not as long as officially

    @abstractmethod
    def sequences(self, split: str) -> list[str]:
        """Name the sequences of a split that the files have, in the order of ``TRAIN`` or ``TEST``."""

    @abstractmethod
    def view(self, name: str, camera: Optional[int]) -> View:
        """Read a sequence seen by a training camera, or None for the one of a test sequence."""

    @property
    def fps(self) -> dict[str, float]:
        """Frames per second of each split that the files have."""
        return {split: FPS if self.target_fps is None or split == 'test' else self.target_fps
                for split in SPLITS if self.sequences(split)}

    def keys(self, split: str) -> list[tuple[str, Optional[int]]]:
        """List sequences and numbers of their cameras."""
        cameras = self.cameras if split == 'train' else (None,)
        return [(name, camera) for name in self.sequences(split) for camera in cameras]

    def read(self, split: str, key: tuple[str, Optional[int]]) -> PoseSequence:
        """Return one sequence seen by one camera."""
        name, camera = key
        view = self.view(name, camera)
        arrays = self._checked(name, view)
        facts = SPLITS[split][name]
        if split == 'test':
            return PoseSequence(name, subject=name, action=name, camera=facts.camera, image_size=facts.image_size,
                                arrays=arrays)
        subject, _, action = name.partition('/')
        step = 1 if self.target_fps is None else round(facts.fps / self.target_fps)
        return PoseSequence(f'{name}.{camera}', subject=subject, action=action, camera=str(camera),
                            image_size=facts.image_size, intrinsics=view.intrinsics, fps=facts.fps / step,
                            arrays={field: values[::step] for field, values in arrays.items()})

    def notes(self) -> list[str]:
        """Say which sequences are absent, and which have more or fewer frames than officially."""
        notes = []
        for split, facts in SPLITS.items():
            absent = [name for name in facts if name not in self.sequences(split)]
            if absent:
                notes.append(f'no {", ".join(absent)}' if len(absent) < len(facts) else f'no {split} sequence')
        return notes + [f'{name}: {words}' for name, words in self._lengths.items()]

    def _checked(self, name: str, view: View) -> dict[str, np.ndarray]:
        """Return the arrays of a sequence, cut to its official length."""
        place, frames = self.place(name), {**TRAIN, **TEST}[name].frames
        flat = check_array(view.keypoints_2d, (None, SKELETON.num_joints, 2), f'{place}: 2D')
        count = len(flat)
        solid = check_array(view.keypoints_3d, (count, SKELETON.num_joints, 3), f'{place}: 3D')
        arrays = {'keypoints_3d': solid, 'keypoints_2d': flat}
        if name in TEST:
            valid = check_array(np.asarray(view.valid) + 0, (count,), f'{place}: valid frames')
            if not np.isin(valid, (0, 1)).all() or not valid.any():
                raise ValueError(f'{place}: valid frames are marked by {np.unique(valid)[:5].tolist()}, expected 1 for '
                                 'some and 0 for the others')
            arrays['valid'] = valid.astype(bool)
        if view.activity is not None:
            activity = check_array(view.activity, (count,), f'{place}: activities')
            if not np.isin(activity, range(MAX_ACTIVITY + 1)).all():
                raise ValueError(f'{place}: activities have numbers from {activity.min():g} to {activity.max():g}, '
                                 f'expected 0 (unknown) to {MAX_ACTIVITY}')
            arrays['activity'] = activity.astype(np.uint8)
        if not count or not all(np.isfinite(values).all() for values in (flat, solid)):
            raise ValueError(f'{place} is empty, or holds NaN or infinity; download or make the file again')
        _check_units(flat, solid, arrays.get('valid', slice(None)), place)
        if count != frames:
            self._lengths[name] = (f'{count} frames, of which the first {frames} are used' if count > frames else
                                   f'{count} frames, officially {frames}')
        return {field: values[:frames] for field, values in arrays.items()}

    @abstractmethod
    def place(self, name: str) -> str:
        """Say where a sequence lies, for messages."""


def _check_units(flat: np.ndarray, solid: np.ndarray, rows: object, place: str) -> None:
    """Refuse 2D that is not in pixels, and 3D that is not in millimetres before the camera."""
    check_pixels(flat[rows], f'{place}: 2D')
    check_extent(solid[rows], f'{place}: 3D', unit='millimetres')
    depth = float(np.median(solid[rows][:, SKELETON.root, 2]))
    if depth <= 0:
        raise ValueError(f'{place}: 3D: the pelvis lies at a depth of {depth:g} mm (median), expected it in front of '
                         'the camera; are the poses relative to a joint?')


def order_sequences(names: Iterable[str], split: str, place: str) -> list[str]:
    """Sort names of sequences as they come in the data set.

    Raises:
        ValueError: a name that the split has not.
    """
    names = list(names)
    unknown = sorted(set(names) - set(SPLITS[split]))
    if unknown:
        raise ValueError(f'{place} has {", ".join(unknown[:5])}, but the {split} sequences of MPI-INF-3DHP are '
                         f'{", ".join(SPLITS[split])}')
    return [name for name in SPLITS[split] if name in names]
