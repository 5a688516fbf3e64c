"""The data set of every task: windows of a motion store, fetched and transformed a batch at a time."""
from __future__ import annotations

import copy
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Callable, Optional, Union

import numpy as np
import torch
from torch.utils.data import Dataset, get_worker_info

from motionbert_mm.datasets.device import TARGETS as DEVICE_TARGETS
from motionbert_mm.datasets.device import DeviceArrays, device_pipeline
from motionbert_mm.datasets.motion_store import Clip, MotionStore
from motionbert_mm.datasets.selection import choose_part, label_clips, number_clips, select_clips, store_classes
from motionbert_mm.datasets.transforms.basic import Gathered
from motionbert_mm.datasets.windows import WindowPlan
from motionbert_mm.geometry.array import Array
from motionbert_mm.registry import DATASETS, TRANSFORMS, build
from motionbert_mm.structures.skeleton import get_skeleton

# Where the network's 2D input comes from: (keypoints array, confidence array or None for certainty), or nowhere.
INPUT_ARRAYS = {'detected': ('detected_2d', 'detected_confidence'), 'exact': ('keypoints_2d', None), None: ()}
# Arrays (F,) of a store that say which frames are evaluated, bool, and what is done in them, int.
VALID, ACTIVITY = 'valid', 'activity'
# Array (F,) of a store with ``geometry.association.find_swaps`` of whole clips, the same for both persons.
SWAPPED = 'persons_swapped'


@DATASETS.register_module()
class MotionDataset(Dataset):
    """Windows of the clips of a motion store.

    In a store with an array ``valid`` the frames that it leaves out are not visible, so that losses and metrics skip
    them; the network sees them all the same. An array ``activity`` goes along as metainfo, (B, T).

    PyTorch's batched fetch calls ``__getitems__`` once per batch: the windows are gathered by one fancy index
    per array, then every transform works on the whole batch. All random draws of a batch come from one
    generator seeded by (seed, seed of the run, epoch, the batch's indices), so that a run does not depend on the
    number of workers and a resumed run draws the same numbers.

    Args:
        data_root: directory of the store.
        window: arguments of ``WindowPlan``, e.g. ``dict(num_frames=243, stride=81)``.
        input_2d: 'detected' takes the noisy detections, 'exact' the projected truth with confidence 1; None reads no
            2D, for stores of 3D alone that a transform of the pipeline looks at.
        targets: arrays of the store to fetch besides the input, e.g. ``('keypoints_3d',)``.
        target_frames: 'all', or 'centre' to fetch ``targets`` and ``visible`` of frame number T // 2 alone,
            (B, M, 1, ...), for trainings of which no loss looks at another frame. Metrics compare all frames, so that
            data sets in test mode fetch them.
        pipeline: configs of transforms.
        pipeline_changes: name of a transform of ``pipeline`` -> arguments to change, or None to leave it out; for
            configs that inherit, and the command line, which cannot reach into a list.
        include: shell patterns of clip names to use, e.g. ``['*/walking/*']``; none is all.
        exclude: shell patterns of clip names to leave out.
        valid_only: with ``window=dict(kind='centre', ...)``, make windows around valid frames only. Official: the test
            protocol of MPI-INF-3DHP.
        fraction: share of each clip that is used, for trainings on less data: ``round(fraction * length)`` consecutive
            frames, at least one, whose place is drawn by ``seed`` and the clip's name. Windows lie inside that part.
            Differs from official (MPM): there the place follows from the clip's length.
        num_persons: M; None is the most of any clip. Absent persons are zero and not visible; of a clip with more,
            the first are taken, which converters make those seen most.
        split: take only the clips that the store lists under this name, before ``include`` and ``exclude``.
        classes: names of the classes in the order of their labels; None is those of the store: what its converter
            noted, else its actions by name. The label of a clip is the place of its action among them.
        other_classes: what becomes of clips of another class: 'refuse' or 'leave_out'.
        test_mode: draw the same numbers in every epoch.
        seed: of the random draws, besides that of the run (``StepSeedHook``).
        data_on_device: keep the arrays that are read on the device that MMEngine trains on, or on the one named, and
            make batches there; for data that fit into half of its free memory. The loader needs ``num_workers=0``,
            ``persistent_workers=False`` and ``pin_memory=False``, targets are ``keypoints_3d`` or none, and the
            pipeline has transforms of ``device.DEVICE_STEPS`` only. Without random draws, or with those of
            ``RandomFlip`` alone, batches are the same up to rounding; masks and noise are drawn by torch.

    Raises:
        FileNotFoundError, ValueError: see ``MotionStore``.
        ValueError: no clip or window is left, a fraction outside 0..1, an array is missing, joints or frames do not
            fit, there is no such split, a clip is of another class, or a transform that is for training in test mode.
    """

    def __init__(self, data_root: str, *, window: dict, input_2d: Optional[str] = 'detected',
                 targets: Sequence[str] = ('keypoints_3d',), target_frames: str = 'all',
                 pipeline: Sequence[dict] = (), pipeline_changes: Optional[Mapping[str, Optional[dict]]] = None,
                 include: Sequence[str] = (), exclude: Sequence[str] = (), valid_only: bool = False,
                 fraction: float = 1.0, num_persons: Optional[int] = None, split: Optional[str] = None,
                 classes: Optional[Sequence[str]] = None, other_classes: str = 'refuse', test_mode: bool = False,
                 seed: int = 0, data_on_device: Union[bool, str] = False) -> None:
        self.store = MotionStore(data_root)
        self.skeleton = get_skeleton(self.store.skeleton)
        if input_2d not in INPUT_ARRAYS:
            raise ValueError(f'input_2d is {input_2d!r}, expected one of {list(INPUT_ARRAYS)}')
        self.input_2d, self.targets = input_2d, tuple(targets)
        self._check_arrays()
        clips = select_clips(self.store, split=split, include=include, exclude=exclude)
        self.classes = store_classes(self.store) if classes is None else tuple(classes)
        self.clips = (number_clips(clips, self.classes) if classes is None else
                      label_clips(clips, self.classes, other_classes))
        self.num_persons = num_persons or max(clip.persons for clip in self.clips)
        parts = [choose_part(clip, fraction, seed) for clip in self.clips]
        if valid_only:
            window = {**window, 'centres': [self._valid_frames(*part) for part in zip(self.clips, parts)]}
        self.windows = WindowPlan([len(part) for part in parts], **window)
        self._clip_rows = np.array([[clip.start, clip.length, clip.persons, part.start]
                                    for clip, part in zip(self.clips, parts)])
        self._clip_meta = _columns(self.clips, self.store)
        self.pipeline: list[Callable] = [build(TRANSFORMS, step) for step in change_steps(pipeline, pipeline_changes)]
        unfit = [type(step).__name__ for step in self.pipeline if getattr(step, 'training_only', False)]
        if test_mode and unfit:
            raise ValueError(f'{", ".join(unfit)} is for training only, but the data set is in test mode; leave it out '
                             'of the pipeline of this data set')
        self._target_frames = self._choose_frames(target_frames, test_mode)
        self._device_arrays = self._move(data_on_device) if data_on_device else None
        self.test_mode, self.seed = test_mode, seed
        # Epoch and seed of the run, in shared memory: seen by workers that are alive.
        self._epoch = torch.zeros(2, dtype=torch.int64).share_memory_()

    @property
    def metainfo(self) -> dict:
        """Plain facts for MMEngine's checkpoints and visualizers."""
        return dict(skeleton=self.skeleton.name, fps=self.store.fps, num_clips=len(self.clips), classes=self.classes,
                    num_persons=self.num_persons, window_seconds=self.window_seconds)

    @property
    def window_seconds(self) -> float:
        """How long a window is; of kinds that bring whole clips to its number of frames, the median clip."""
        if self.windows.takes_whole_clips:
            return float(np.median(self.windows.lengths / self._clip_meta['fps']))
        return float(self.windows.num_frames * self.windows.dilation / np.median(self._clip_meta['fps']))

    @property
    def labels(self) -> np.ndarray:
        """Label (W,) int64 of every window.

        Raises:
            ValueError: a clip without one.
        """
        strange = [clip for clip in self.clips if clip.label is None]
        if strange:
            raise ValueError(f'{self.store.path}: {len(strange)} of {len(self.clips)} clips have no label, e.g. '
                             f'{strange[0].name!r} with action {strange[0].action!r}; the classes are '
                             f'{", ".join(self.classes) or "none"}. Convert with labels, or set classes and '
                             "other_classes='leave_out' of the data set")
        return self._clip_meta['label'][self.windows.clips]

    def set_epoch(self, epoch: int, run_seed: int = 0) -> None:
        """Choose the random draws by epoch and seed of the run; reaches workers that already run."""
        self._epoch[0], self._epoch[1] = epoch, run_seed

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> dict:
        """Return one sample: ``__getitems__([index])`` without the batch axis."""
        return without_batch_axis(self.__getitems__([index]))

    def __getitems__(self, indices: Sequence[int]) -> dict:
        """Return a batch: a dict of arrays whose first axis is the batch, and metainfo."""
        if self._device_arrays and get_worker_info() is not None:
            raise ValueError('data_on_device=True makes batches on the device of the model, which only the process '
                             'that trains may do; set num_workers=0 and persistent_workers=False of the loader')
        indices = np.asarray(indices, np.int64)
        epoch, run_seed = (0, 0) if self.test_mode else self._epoch.tolist()
        rng = np.random.default_rng([self.seed, run_seed, epoch, zlib.crc32(indices.tobytes())])
        results = self.gather(indices, rng)
        if self.pipeline:
            results = Gathered(results)
        for transform in self.pipeline:
            results = transform(results, rng)
        return results

    def gather(self, indices: np.ndarray, rng: np.random.Generator) -> dict:
        """Read windows (B,) from the store, before any transform."""
        clips, frames, is_inside = self.windows.frames(indices, rng)  # (B,), (B, T), (B, T)
        start, length, persons, first = self._clip_rows[clips].T[..., None, None]  # each (B, 1, 1)
        frames = frames + first[:, 0]
        person = np.arange(self.num_persons)[:, None]  # (M, 1)
        is_there = person < persons  # (B, M, 1)
        rows = (start + np.where(is_there, person, 0) * length) + frames[:, None]  # (B, M, T)
        kept = self._target_frames
        source = self._device_arrays or self.store
        results = {name: source.gather(name, rows[:, :, kept]) for name in self.targets}
        if self.input_2d:
            keypoints, confidence = INPUT_ARRAYS[self.input_2d]
            results['keypoints_2d'] = points = source.gather(keypoints, rows)
            results['confidence'] = (source.gather(confidence, rows) if confidence else
                                     points.new_ones(()).expand(points.shape[:-1]) if self._device_arrays else
                                     np.broadcast_to(np.float32(1.0), points.shape[:-1]))
        if not is_there.all():
            results = {name: _zero_absent(values, is_there) for name, values in results.items()}
        counts = is_inside[:, None, kept] & is_there  # (B, M, T), or (B, M, 1) of centre frames
        if VALID in self.store.arrays:
            counts = counts & self.store.gather(VALID, rows[:, :, kept])
        results['visible'] = np.broadcast_to(counts[..., None], (*counts.shape, self.skeleton.num_joints))
        if self.windows.hides_padding:
            results['is_inside'] = is_inside
        meta = self.describe(clips, frames, rng)
        if ACTIVITY in self.store.arrays:
            meta[ACTIVITY] = self.store.gather(ACTIVITY, rows[:, 0]).astype(np.int64)  # (B, T)
        return {**results, **meta, 'frame_ids': frames, 'skeleton': self.skeleton.name}

    def describe(self, clips: np.ndarray, frames: np.ndarray, rng: np.random.Generator) -> dict:
        """Return the metainfo of windows: what is known of their clips (B,), of which they show frames (B, T)."""
        numbers = clips.tolist()
        return {name: column[clips] if isinstance(column, np.ndarray) else [column[number] for number in numbers]
                for name, column in self._clip_meta.items()}

    def _move(self, device: Union[bool, str]) -> DeviceArrays:
        """Copy the arrays that are read to a device, and let the pipeline work there."""
        strange = sorted(set(self.targets) - set(DEVICE_TARGETS))
        if strange or self.input_2d is None:
            raise ValueError(f'data_on_device needs a 2D input and can fetch targets {list(DEVICE_TARGETS)}, got '
                             f'input_2d={self.input_2d!r} and targets {list(self.targets)}; set data_on_device=False')
        names = [*self.targets, *(name for name in INPUT_ARRAYS[self.input_2d] if name)]
        arrays = DeviceArrays(self.store, names, device)
        self.pipeline = device_pipeline(self.pipeline, arrays.device)
        return arrays

    def _choose_frames(self, target_frames: str, test_mode: bool) -> slice:
        """Return which frames of a window are fetched of targets."""
        if target_frames not in ('all', 'centre'):
            raise ValueError(f"target_frames is {target_frames!r}, expected 'all' or 'centre'")
        if target_frames == 'all':
            return slice(None)
        if test_mode:
            raise ValueError("target_frames='centre' is for training, but the data set is in test mode, where metrics "
                             "compare all frames; leave it at 'all'")
        unfit = [type(step).__name__ for step in self.pipeline if getattr(step, 'reads_all_targets', False)]
        if unfit:
            raise ValueError(f"{', '.join(unfit)} needs the targets of all frames; set target_frames='all' of the data "
                             'set, or leave it out of its pipeline')
        middle = self.windows.num_frames // 2
        return slice(middle, middle + 1)

    def _valid_frames(self, clip: Clip, part: range) -> np.ndarray:
        """Return the frames that are valid for somebody, counted from the start of a part of a clip."""
        if VALID not in self.store.arrays:
            raise ValueError(f'valid_only asks for windows around valid frames, but {self.store.path} has no array '
                             f'{VALID}; it holds {sorted(self.store.arrays)}. Set valid_only=False, or convert a data '
                             'set that has such frames')
        valid = self.store.arrays[VALID][clip.start:clip.start + clip.persons * clip.length]
        return np.flatnonzero(valid.reshape(clip.persons, clip.length).any(axis=0)[part.start:part.stop])

    def _check_arrays(self) -> None:
        needed = [*self.targets, *(name for name in INPUT_ARRAYS[self.input_2d] if name)]
        missing = sorted(set(needed) - set(self.store.arrays))
        if missing:
            raise ValueError(f'{self.store.path} has no {", ".join(missing)}; it holds {sorted(self.store.arrays)}. '
                             f'Convert with them, or change input_2d ({self.input_2d!r}) or targets of the data set')
        for name in needed:
            shape = self.store.arrays[name].shape
            if 'keypoints' in name and shape[1] != self.skeleton.num_joints:
                raise ValueError(f'{self.store.path}: {name} has {shape[1]} joints, skeleton {self.skeleton.name!r} '
                                 f'has {self.skeleton.num_joints}; convert again with the right skeleton')
        for name, kinds in ((VALID, 'b'), (ACTIVITY, 'iu')):
            array = self.store.arrays.get(name)
            if array is not None and (array.ndim != 1 or array.dtype.kind not in kinds):
                raise ValueError(f'{self.store.path}: {name} has rows of shape {array.shape[1:]} and dtype '
                                 f'{array.dtype}, expected one {"bool" if kinds == "b" else "integer"} for each frame; '
                                 'convert again')


def change_steps(pipeline: Sequence[dict], changes: Optional[Mapping[str, Optional[dict]]]) -> list[dict]:
    """Return the configs of a pipeline with the arguments of some transforms changed, or without them.

    Args:
        pipeline: configs of transforms.
        changes: name of a transform -> arguments, or None to leave it out.

    Raises:
        ValueError: a name that is not in the pipeline.
    """
    changes = changes or {}
    names = [step['type'] for step in pipeline]
    unknown = sorted(set(changes) - set(names))
    if unknown:
        raise ValueError(f'pipeline_changes names {", ".join(unknown)}, but the pipeline has {", ".join(names)}')
    return [{**step, **changes.get(name, {})} for name, step in zip(names, pipeline)
            if changes.get(name, step) is not None]


def _columns(clips: Sequence[Clip], store: MotionStore) -> dict:
    """Turn clips into one column per metainfo key; a key that not all clips know is left out."""
    columns = {'sample_id': [clip.name for clip in clips], 'subject': [clip.subject for clip in clips],
               'action': [clip.action for clip in clips], 'camera_id': [clip.camera for clip in clips],
               'text': [list(clip.text) for clip in clips],
               'fps': np.array([store.clip_fps(clip) for clip in clips], np.float32)}
    for name, key, dtype in (('image_size', 'image_size', np.float32), ('intrinsics', 'intrinsics', np.float32),
                             ('label', 'label', np.int64)):
        values = [getattr(clip, key) for clip in clips]
        if all(value is not None for value in values):
            columns[name] = np.array(values, dtype)
    return columns


def _zero_absent(values: Array, is_there: np.ndarray) -> Array:
    """Zero the persons (B, M, T, ...) that a clip lacks; ``is_there`` is (B, M, 1)."""
    factor = is_there.reshape(*is_there.shape, *(1,) * (values.ndim - 3))
    return values * (torch.from_numpy(factor).to(values) if isinstance(values, torch.Tensor) else
                     factor.astype(values.dtype))


def without_batch_axis(value: Any) -> Any:
    """Return the one sample of a batch, or of one entry of it."""
    if isinstance(value, dict):
        return {key: without_batch_axis(entry) for key, entry in value.items()}
    return value if isinstance(value, str) else copy.copy(value[0])
