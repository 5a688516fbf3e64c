"""Steps of an MMAction2 pipeline: frames as MotionBERT takes them, and our transforms on MMAction2's results."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from motionbert_mm.datasets.pyskl_annotations import People, read_people
from motionbert_mm.datasets.windows import resample_indices
from motionbert_mm.registry import TRANSFORMS, build

NUM_PERSONS = 2  # of FormatGCNInput too


@TRANSFORMS.register_module()
class ResampleFrames:
    """Choose the frames of a clip as MotionBERT does: stretched or shrunk to a number, not looped.

    Takes the place of MMAction2's ``UniformSampleFrames``; ``PoseDecode`` follows.

    Args:
        num_frames: T.
        jitter: draw the frames, for training; see ``resample_indices``.

    Raises:
        ValueError: fewer frames than one.
    """

    def __init__(self, num_frames: int, *, jitter: bool = False) -> None:
        if num_frames < 1:
            raise ValueError(f'ResampleFrames.num_frames is {num_frames}, expected 1 or more')
        self.num_frames, self.jitter = num_frames, jitter

    def __call__(self, results: dict) -> dict:
        """Return ``results`` with ``frame_inds`` (T,) and what goes with it in MMAction2."""
        frames = resample_indices(results['total_frames'], self.num_frames, _generator() if self.jitter else None)
        return dict(results, frame_inds=frames, clip_len=self.num_frames, frame_interval=None, num_clips=1)


@TRANSFORMS.register_module()
class RecognizerPipeline:
    """Run transforms of this package on the results of an MMAction2 pipeline.

    Stands between ``PoseDecode`` and ``FormatGCNInput``. Reads ``keypoint`` (M, clips * T, 17, 2), pixels in COCO
    order, with ``keypoint_score`` (M, clips * T, 17), and ``img_shape`` (height, width) where there is one; writes the
    inputs of the network into both, of which FormatGCNInput makes (clips, M, T, J, 3). The transforms see the clips of
    a sample as a batch.

    Args:
        pipeline: configs of transforms that end in network inputs, e.g. AssociatePersons, ConvertSkeleton,
            NormalizeCoords and ZeroMissing; PackInputs is not needed.
        num_persons: M that the model sees, also of FormatGCNInput. Of more, those seen most are taken.

    Raises:
        ValueError: no person; when called, keypoints of another form, NaN, or a pipeline that makes no inputs. Names
            the sample.
    """

    def __init__(self, pipeline: Sequence[dict], *, num_persons: int = NUM_PERSONS) -> None:
        if num_persons < 1:
            raise ValueError(f'RecognizerPipeline.num_persons is {num_persons}, expected 1 or more')
        self.pipeline = [build(TRANSFORMS, step) for step in pipeline]
        self.num_persons = num_persons

    def __call__(self, results: dict) -> dict:
        """Return ``results`` with ``keypoint`` (M, clips * T, J, 2) and ``keypoint_score`` (M, clips * T, J)."""
        name = str(results.get('frame_dir', results.get('filename', '')))
        batch = self._as_batch(results, name)
        rng = _generator()
        for transform in self.pipeline:
            batch = transform(batch, rng)
        if 'inputs' not in batch:
            raise ValueError('the pipeline of RecognizerPipeline made no network inputs; end it in NormalizeCoords and '
                             'what follows it')
        joined = np.concatenate(list(batch['inputs']), axis=1)  # (M, clips * T, J, 3)
        return dict(results, keypoint=joined[..., :2], keypoint_score=joined[..., 2])

    def _as_batch(self, results: dict, name: str) -> dict:
        """Return the clips of a sample as ``MotionDataset`` gathers them; absent persons are zero and not visible."""
        people = _read_people(results, name, self.num_persons)
        absent = ((0, self.num_persons - len(people.points)),)
        clips = results.get('num_clips', 1)
        points, confidence = (np.stack(np.split(np.pad(values, absent + ((0, 0),) * (values.ndim - 1)), clips, axis=1))
                              for values in (people.points, people.confidence))  # (clips, M, T, ...)
        is_there = (confidence > 0).any(axis=(0, 2, 3))[:, None, None]
        batch = dict(keypoints_2d=points, confidence=confidence, skeleton=people.skeleton, sample_id=[name] * clips,
                     visible=np.broadcast_to(is_there, confidence.shape))
        if 'img_shape' in results:
            height, width = results['img_shape'][:2]
            batch['image_size'] = np.tile(np.float32([width, height]), (clips, 1))
        return batch


def _read_people(results: dict, name: str, num_persons: int) -> People:
    """Return the persons of a sample, those seen most of too many; ValueError if they are no COCO detections."""
    given = {key: results[key] for key in ('keypoint', 'keypoint_score') if key in results}
    try:
        people = read_people(dict(given, total_frames=np.shape(given.get('keypoint', ((),)))[1]), num_persons)
    except ValueError as error:
        raise ValueError(f'sample {name!r}: {error}. RecognizerPipeline stands behind PoseDecode, without '
                         'PreNormalize2D and GenSkeFeat before it') from None
    if people.skeleton != 'coco17':
        raise ValueError(f'sample {name!r} has the joints of {people.skeleton}, RecognizerPipeline reads 2D detections '
                         'in COCO order; take a 2D file, e.g. ntu60_2d.pkl')
    return people if len(people.points) <= num_persons else people.most_seen(num_persons)


def _generator() -> Any:
    """Return a generator drawn from NumPy's global one, which MMEngine seeds in every worker of a host's loader."""
    return np.random.default_rng(np.random.randint(2 ** 31))  # noqa: NPY002
