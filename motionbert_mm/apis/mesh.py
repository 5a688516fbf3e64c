"""Recover human meshes from 2D keypoint sequences of any length with a trained checkpoint."""
from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Optional, Union

import numpy as np
import torch
from torch import Tensor, nn

from motionbert_mm.apis.blending import WindowBlend
from motionbert_mm.apis.inference import LiftResult
from motionbert_mm.apis.labelling import find_head
from motionbert_mm.apis.sequence_model import BATCH_SIZE, Clip, SequenceModel, mirrored_too, stack_field
from motionbert_mm.checkpoints.load import load_model
from motionbert_mm.geometry.alignment import fit_scale_and_shift
from motionbert_mm.geometry.rotation import average_rotations, axis_angle_to_matrix, matrix_to_axis_angle
from motionbert_mm.models.body_model import BodyModel
from motionbert_mm.models.heads.smpl import SMPLHead

GIVEN = ('initial_pose', 'initial_betas')  # of another method, for models that refine it
PURPOSE = 'recovers meshes'
BLOCK = 128  # bodies that are posed at a time
LEAST_SEEN = 2  # joints that a camera is fitted to


class BodyFrames(Sequence):
    """Vertices of one person's frames, posed when they are asked for: a long video of meshes would fill the memory.

    Args:
        body: makes vertices of parameters.
        pose: (F, 24, 3) axis-angle.
        betas: (F, 10).
    """

    def __init__(self, body: BodyModel, pose: np.ndarray, betas: np.ndarray) -> None:
        self.body, self.pose, self.betas = body, pose, betas

    def __len__(self) -> int:
        return len(self.pose)

    def __getitem__(self, index: int) -> np.ndarray:
        """Return the vertices (V, 3) mm of a frame."""
        return self._posed(self.body, [range(len(self))[index]])[0]

    def joints(self) -> np.ndarray:
        """Return the joints (F, 17, 3) mm of all frames."""
        blocks = [np.arange(start, min(start + BLOCK, len(self))) for start in range(0, len(self), BLOCK)]
        return np.concatenate([self._posed(self.body.pose_joints, block) for block in blocks])

    def _posed(self, points: Callable[[Tensor, Tensor], Tensor], frames: Sequence[int]) -> np.ndarray:
        """Return the points (N, ..., 3) mm that the body model gives for the parameters of frames (N,)."""
        with torch.inference_mode():
            pose, betas = (self.body.mean_betas.new_tensor(values[frames]) for values in (self.pose, self.betas))
            return points(axis_angle_to_matrix(pose), betas).cpu().numpy()


@dataclass(frozen=True)
class MeshResult(LiftResult):
    """SMPL bodies of one person, and where the joints of the input came from.

    ``keypoints_3d`` (F, 17, 3) are the joints of the bodies, mm, in the axes of the camera and, unlike those of a
    lifter, at the place that SMPL gives a body without translation; as the vertices are.

    Attributes:
        smpl_pose: (F, 24, 3) float32 axis-angle, radians.
        smpl_betas: (F, 10) float32, one shape of all frames.
        camera: (F, 3) float32, scale s in px per mm and shift (x, y) px of a weak-perspective camera: a point shows at
            s * (x, y) + shift.
        vertices: F frames of (V, 3) mm, posed when they are asked for.
        faces: (N, 3) int, vertices of each triangle, anticlockwise as seen from outside.
    """

    smpl_pose: np.ndarray
    smpl_betas: np.ndarray
    camera: np.ndarray
    vertices: BodyFrames
    faces: np.ndarray


class MeshRecoverer(SequenceModel):
    """A mesh model that knows its skeleton, window, input normalisation and body.

    Windows are as long as those of training and overlap by half; a sequence shorter than a window is continued with
    its last frame. Rotations of overlapping windows are averaged on their manifold, and shapes over all frames, each
    weighted by the confidence of its joints, so that a person has one shape. All lengths are millimetres.

    Differs from official: infer_wild_mesh.py runs windows that do not overlap, by default 243 frames long where 16 were
    trained, and averages joints in millimetres with others in metres.

    Args:
        model: in evaluation mode; ``test_step`` gives ``smpl_pose`` and ``smpl_betas``.
        body: the body that the model was trained with.
        is_refiner: the model refines what another method found, which ``recover`` is given.
        skeleton, num_frames, transforms, dilation, is_made_for_missing: see ``SequenceModel``.
    """

    given_fields = GIVEN

    def __init__(self, model: nn.Module, *, body: BodyModel, is_refiner: bool = False, skeleton: str, num_frames: int,
                 transforms: Sequence[dict], dilation: int = 1, is_made_for_missing: bool = False) -> None:
        super().__init__(model, skeleton=skeleton, num_frames=num_frames, transforms=transforms, dilation=dilation,
                         is_made_for_missing=is_made_for_missing)
        self.body, self.is_refiner = body, is_refiner

    @classmethod
    def from_checkpoint(cls, path: Union[str, os.PathLike], device: Optional[str] = None, *,
                        dilation: Optional[int] = None,
                        body_model: Optional[Union[str, os.PathLike]] = None) -> MeshRecoverer:
        """Build from a checkpoint, see ``SequenceModel.from_checkpoint``; ``body_model`` as of ``load_model``."""
        return cls.from_model(*load_model(path, device, body_model=body_model), source=str(path), dilation=dilation)

    @classmethod
    def _own_arguments(cls, model: nn.Module, source: str) -> dict:
        """Return the arguments that the model brings."""
        head = find_head(model, SMPLHead)
        if head is None:
            raise ValueError(f'{source} is of a model that predicts no bodies; meshes need that of one with a MeshHead '
                             'or a MeshRefineHead (configs/mesh/)')
        return dict(body=head.body, is_refiner=bool(head.reads_given))

    def recover(self, keypoints: np.ndarray, confidence: Optional[np.ndarray] = None, *, skeleton: str,
                image_size: Sequence[float], initial_pose: Optional[np.ndarray] = None,
                initial_betas: Optional[np.ndarray] = None, batch_size: Optional[int] = None, flip_test: bool = True,
                missing: str = 'auto', progress: Callable[[Iterable], Iterable] = iter) -> MeshResult:
        """Recover one person's bodies in a sequence of any length.

        Args:
            keypoints: (F, J, 2) px, origin top left. A joint that is NaN is missing in that frame.
            confidence: (F, J) in 0..1; all 1 if None. A joint at 0 or NaN is missing.
            skeleton: joint set of ``keypoints``; converted to that of the model.
            image_size: (width, height) px.
            initial_pose: (F, 24, 3) or (F, 72) axis-angle of another method, for a model that refines it.
            initial_betas: (F, 10) of that method.
            batch_size: windows per forward pass; None is 8.
            flip_test: average with the prediction for the mirrored input.
            missing: see ``Lifter.lift``.
            progress: wraps the batches, such as ``tqdm``.

        Raises:
            KeyError: unknown skeleton.
            ValueError: see ``Lifter.lift``; an initial pose that is missing, does not fit or has no use; or a model
                that does not recover meshes.
        """
        batch_size = BATCH_SIZE if batch_size is None else batch_size
        initial = self._check_initial(initial_pose, initial_betas, len(keypoints))
        given, clip = self.read_input(keypoints, confidence, skeleton=skeleton, image_size=image_size,
                                      batch_size=batch_size, missing=missing, given=initial)
        # Joints that were filled in, or that the input skeleton lacks, say nothing of the person.
        weight = np.where(given.filled, 0.0, clip.confidence)
        with torch.inference_mode(), mirrored_too(self.model, flip_test):
            rotations, betas = self._blend_windows(clip, batch_size, progress)
        pose = matrix_to_axis_angle(rotations).astype(np.float32)
        betas = np.tile(_average_shape(betas, weight.mean(axis=1)), (len(pose), 1)).astype(np.float32)
        bodies = BodyFrames(self.body, pose, betas)
        joints = bodies.joints()
        return MeshResult(keypoints_3d=joints, smpl_pose=pose, smpl_betas=betas, vertices=bodies, faces=self.body.faces,
                          camera=fit_camera(joints, clip.points, weight), **self.describe_input(given))

    def _blend_windows(self, clip: Clip, batch_size: int,
                       progress: Callable[[Iterable], Iterable]) -> tuple[np.ndarray, np.ndarray]:
        """Blend windows that overlap by half: rotations (F, 24, 3, 3) and betas (F, 10)."""
        rotations, betas = (WindowBlend(len(clip), shape, self.dilation) for shape in ((24, 3, 3), (10,)))
        for frames, samples in self.run_windows(clip, batch_size, progress):
            pose = stack_field(samples, 'smpl_pose', PURPOSE, frames)
            rotations.add(frames, axis_angle_to_matrix(pose.astype(np.float64)))
            betas.add(frames, stack_field(samples, 'smpl_betas', PURPOSE, frames))
        # The rotation nearest to a mean of matrices is the average on the manifold.
        return average_rotations(rotations.result()[..., None, :, :]), betas.result()

    def _check_initial(self, pose: Optional[np.ndarray], betas: Optional[np.ndarray],
                       length: int) -> Mapping[str, np.ndarray]:
        """Return the fields that a refiner reads, or refuse what it is given."""
        if not self.is_refiner:
            if pose is not None or betas is not None:
                raise ValueError('an initial pose is given to a model that does not refine one; use the checkpoint of '
                                 'one with a MeshRefineHead, or leave the pose out')
            return {}
        if pose is None or betas is None:
            raise ValueError('the model refines the bodies of another method; give its smpl_pose (F, 24, 3) and '
                             'smpl_betas (F, 10) (--initial)')
        pose, betas = np.asarray(pose, np.float32), np.asarray(betas, np.float32)
        if pose.shape not in ((length, 24, 3), (length, 72)) or betas.shape != (length, 10):
            raise ValueError(f'the initial pose has shape {pose.shape} and the betas {betas.shape}, expected '
                             f'({length}, 24, 3) or ({length}, 72), and ({length}, 10): one row for every frame of the '
                             'keypoints')
        if not (np.isfinite(pose).all() and np.isfinite(betas).all()):
            raise ValueError('the initial pose or its betas hold NaN or infinity; interpolate frames that the method '
                             'could not see')
        return dict(zip(GIVEN, (pose.reshape(length, 24, 3), betas)))


def fit_camera(joints: np.ndarray, points: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Fit a weak-perspective camera to every frame, so that the joints show at the 2D points.

    By weighted least squares, in closed form. A frame in which fewer than LEAST_SEEN joints count is fitted to all its
    points. A body that fits best when mirrored is given the extent of the points instead.

    Args:
        joints: (F, J, 3) mm.
        points: (F, J, 2) px, finite.
        weight: (F, J), 0 for points that say nothing.

    Returns:
        (F, 3) float32, see ``MeshResult.camera``.
    """
    is_seen = (weight > 0).sum(axis=1, keepdims=True) >= LEAST_SEEN
    weight = np.where(is_seen, weight, 1.0).astype(np.float64)
    joints, points = joints[..., :2].astype(np.float64), points.astype(np.float64)
    scale, _ = fit_scale_and_shift(joints, points, weight)
    share = (weight / weight.sum(axis=1, keepdims=True))[..., None]
    centres = [(share * values).sum(axis=1, keepdims=True) for values in (joints, points)]
    extents = [np.sqrt((share * (values - centre) ** 2).sum(axis=(1, 2)))
               for values, centre in zip((joints, points), centres)]
    scale = np.where(scale > 0, scale, extents[1] / np.maximum(extents[0], 1e-9))
    shift = centres[1][:, 0] - scale[:, None] * centres[0][:, 0]
    return np.concatenate([scale[:, None], shift], axis=1).astype(np.float32)


def _average_shape(betas: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Average (F, 10) over the frames, each as far as its joints were seen (F,)."""
    return np.average(betas, axis=0, weights=weight if weight.any() else None)
