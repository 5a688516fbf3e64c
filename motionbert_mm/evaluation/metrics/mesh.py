"""Errors of human meshes that SMPL parameters pose."""
from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch
from torch import Tensor

from motionbert_mm.evaluation.functional.keypoint_eval import acceleration_error
from motionbert_mm.evaluation.functional.matching import check_finite, match_frames, visible_joints
from motionbert_mm.evaluation.functional.merging import as_array
from motionbert_mm.evaluation.functional.mesh_eval import BODY_JOINTS, SKELETON, body_joint_errors, mpve
from motionbert_mm.evaluation.functional.steps import steady_steps, undefined_first
from motionbert_mm.evaluation.metrics.base import MotionMetric, Window
from motionbert_mm.evaluation.protocols import FREE_MESH_OPTIONS, MESH_PROTOCOLS, get_protocol, resolve_options
from motionbert_mm.geometry.rotation import axis_angle_to_matrix
from motionbert_mm.models.body_model import BodyModel
from motionbert_mm.registry import METRICS

PARAMETERS = {'smpl_pose': (24, 3), 'smpl_betas': (10,)}
POSED = ('vertices', 'keypoints_3d')
ERRORS = ('MPVE', 'MPJPE', 'PA-MPJPE', 'MPJPE/17', 'PA-MPJPE/17')


@METRICS.register_module()
class MeshMetric(MotionMetric):
    """Errors of the vertices and joints of predicted bodies: MPVE, MPJPE, PA-MPJPE and the acceleration error.

    Keys of the result, all but the last in mm: ``MPVE`` over all vertices; ``MPJPE`` and ``PA-MPJPE`` (each frame
    aligned by scale, rotation and translation) over the 14 joints ``BODY_JOINTS``; ``MPJPE/17`` and ``PA-MPJPE/17``
    over all 17; ``Accel`` over the 14 joints, in mm per frame squared. Those without a slash also as ``key/frame``,
    ``key/clip`` and ``key/<group_by>``. Prediction and truth are moved to have the pelvis, joint 0, in the origin.

    The body model poses the truth from ``smpl_pose`` and ``smpl_betas`` of the batch, and reads its joints off the
    vertices. Predictions are their ``vertices`` and ``keypoints_3d`` or, where one is missing, posed from ``smpl_pose``
    and ``smpl_betas`` too. Kept of a frame are its errors and its 17 joints, not its vertices. A frame counts if any
    joint of its target is visible.

    Errors are measured in each window and averaged per source frame, since an average of meshes is not a body. Of
    windows that do not overlap, as in the official evaluation, that is the mean over their frames. The acceleration, of
    which windows of 16 frames have few and their borders none, is measured on whole sequences, of joints averaged per
    source frame, never across a gap; jumps between windows count. It is what VIBE and TCMR compute; at 30 frames a
    second 1 mm per frame squared is 900 mm/s^2.

    Args:
        body_model: arguments of ``BodyModel``, e.g. ``dict(path='synthetic')``.
        protocol: a row of ``MESH_PROTOCOLS``: '3dpw', 'h36m-mosh', or 'smpl' for other data. It fixes ``average`` and
            ``group_by``; the first two refuse a body model that names another gender.
        average: 'frame', 'clip' or the value of ``group_by``: which of the three averages is the headline ['frame'].
        group_by: what the rows of the first table are, a grouping or a metainfo key ['action'].
        tables: likewise for further tables.
        device: of the body model; None is where the predictions are.
        skip_list: sequences that are left out, names or patterns.
        prefix: put before every key of the result, with a slash.
        collect_device: 'cpu' or 'gpu', how results are gathered from the processes.
        collect_dir: shared directory for gathering on the CPU.

    Raises:
        FileNotFoundError, ImportError, ValueError: see ``BodyModel``; or a body of another gender than the protocol's.
    """

    whole = '14'

    def __init__(self, body_model: dict, *, protocol: Optional[str] = None, average: Optional[str] = None,
                 group_by: Optional[str] = None, tables: Sequence[str] = (), device: Optional[str] = None,
                 skip_list: Sequence[str] = (), prefix: Optional[str] = None, collect_device: str = 'cpu',
                 collect_dir: Optional[str] = None) -> None:
        self.protocol = None if protocol is None else get_protocol(protocol, MESH_PROTOCOLS)
        options = resolve_options(self.protocol, dict(average=average, group_by=group_by), FREE_MESH_OPTIONS)
        super().__init__(average=options['average'], group_by=options['group_by'], tables=tables, skip_list=skip_list,
                         prefix=prefix, collect_device=collect_device, collect_dir=collect_dir)
        path = Path(body_model.get('path', ''))  # BodyModel refuses to do without
        self.body_name, self.gender = path.name, _gender(path)
        self._check_gender()
        self.body = BodyModel(**body_model)
        self.device = device

    def extract(self, prediction: Mapping[str, Any], target: Mapping[str, Any]) -> list[Window]:
        """Keep the errors and the joints (F, 17, 3) mm, pelvis in the origin, of the visible frames of each person."""
        name = target['sample_id']
        predicted = POSED if all(prediction.get(field) is not None for field in POSED) else tuple(PARAMETERS)
        frame_ids, rows = match_frames(prediction, target, predicted[0])
        pred = _fields(prediction, predicted, name, 'prediction')
        truth = {field: values[:, rows] for field, values in _fields(target, PARAMETERS, name, 'ground truth').items()}
        sizes = [values.shape[:2] for values in (*pred.values(), *truth.values())]
        if len(set(sizes)) > 1:
            raise ValueError(f'{name}: prediction and ground truth must have the same persons and frames (M, T), got '
                             f'{dict(zip([*pred, *(f"true {field}" for field in truth)], sizes))}')
        self.body.to(self._device_of(prediction[predicted[0]]))
        visible = visible_joints(target, (*target['smpl_pose'].shape[:2], 1)).any(axis=-1)[:, rows]
        meta = {'fps': target.get('fps'), 'flip_test': prediction.get('flip_test')}
        return [Window(name, person, frame_ids[shown],
                       self._compare(*({field: values[person, shown] for field, values in side.items()}
                                       for side in (pred, truth)), frame_ids[shown], name), frame_ids[~shown], meta)
                for person, shown in enumerate(visible)]

    def measure(self, window: Window) -> dict[str, np.ndarray]:
        """Return the errors of a merged clip, and measure its acceleration: (F,) values by name."""
        pred, target = (window.arrays[role][:, BODY_JOINTS] for role in ('pred', 'target'))
        steady = steady_steps(window.frame_ids)
        accelerations = acceleration_error(pred, target)
        return {**{name: window.arrays[name] for name in ERRORS},
                'Accel': undefined_first(accelerations, steady[1:] & steady[:-1], len(pred))}

    def describe(self, clips: Sequence[Window]) -> list[str]:
        """Say the name of the protocol, which joints count, which body poses them, and where the truth is from."""
        left_out = [joint for row, joint in enumerate(SKELETON.joints) if row not in BODY_JOINTS]
        words = [] if self.protocol is None else [f'protocol: {self.protocol.name}']
        words += [f'all vertices; {len(BODY_JOINTS)} joints of {SKELETON.name} (without {", ".join(left_out)})',
                  f'relative to {SKELETON.joints[SKELETON.root]}',
                  f'truth posed by the body {self.body_name}, gender: {self.gender or "not stated"}']
        return words if self.protocol is None else [*words, f'truth: {self.protocol.truth}']

    def describe_overlap(self) -> str:
        """Say that positions are measured in windows, and accelerations in sequences."""
        return 'each measured, errors averaged per frame; Accel of whole sequences of averaged joints'

    def _compare(self, pred: dict[str, np.ndarray], truth: dict[str, np.ndarray], frame_ids: np.ndarray,
                 name: str) -> dict[str, np.ndarray]:
        """Measure the predicted bodies of one person; the fields are (F, ...)."""
        if not len(frame_ids):
            return {}
        vertices, joints = {}, {}
        for role, fields in (('pred', pred), ('target', truth)):
            vertices[role], joints[role] = (fields[field] for field in POSED) if 'vertices' in fields else (
                self._pose(**fields))
            for points in (vertices[role], joints[role]):
                check_finite(points, frame_ids, name, role)
        if vertices['pred'].shape != vertices['target'].shape or joints['pred'].shape != joints['target'].shape:
            raise ValueError(f'{name}: predicted vertices have shape {vertices["pred"].shape} and keypoints_3d '
                             f'{joints["pred"].shape}, the body {self.body_name} of the metric gives '
                             f'{vertices["target"].shape} and {joints["target"].shape}; name the same body_model in '
                             'the head and in the metric')
        arrays = {role: points - points[:, SKELETON.root, None] for role, points in joints.items()}
        return {**arrays, 'MPVE': mpve(vertices['pred'], vertices['target'], joints['pred'], joints['target']),
                **body_joint_errors(arrays['pred'], arrays['target'])}

    @torch.inference_mode()
    def _pose(self, smpl_pose: np.ndarray, smpl_betas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pose bodies: (F, 24, 3) rad and (F, 10) -> vertices (F, V, 3) and joints (F, 17, 3), mm."""
        device = self.body.mean_betas.device
        rotations = axis_angle_to_matrix(torch.from_numpy(smpl_pose)).to(device)
        vertices = self.body(rotations, torch.from_numpy(smpl_betas).to(device))
        return as_array(vertices), as_array(self.body.joints(vertices))

    def _device_of(self, field: Any) -> Any:
        """Where the body model works for a prediction."""
        if self.device is not None:
            return self.device
        return field.device if isinstance(field, Tensor) else 'cpu'

    def _check_gender(self) -> None:
        wanted = None if self.protocol is None else self.protocol.gender
        if wanted is not None and self.gender not in (None, wanted):
            raise ValueError(f'protocol {self.protocol.name!r} is defined for the {wanted} body, body_model.path names '
                             f'{self.body_name}; name the {wanted} one, or leave protocol out')


def _gender(path: Path) -> Optional[str]:
    """The gender that the name of a body model's file states; of a folder the neutral one is read."""
    found = re.search('female|male|neutral', path.name.lower())
    return 'neutral' if path.is_dir() else found.group() if found else None


def _fields(sample: Mapping[str, Any], names: Sequence[str], name: str, role: str) -> dict[str, np.ndarray]:
    """Fields (M, T, ...) of a sample as float32 arrays; parameters are checked for their shape."""
    missing = [field for field in names if sample.get(field) is None]
    if missing:
        cure = ("set targets=['smpl_pose', 'smpl_betas'] of the data set and the same fields of PackInputs"
                if role == 'ground truth' else 'check the head')
        raise KeyError(f'{name}: the {role} has no {", ".join(missing)}, only {sorted(sample)}; {cure}')
    fields = {field: as_array(sample[field]).astype(np.float32) for field in names}
    for field, values in fields.items():
        shape = PARAMETERS.get(field, values.shape[2:])
        if values.shape[2:] != shape:
            raise ValueError(f'{name}: {field} of the {role} has shape {values.shape}, expected (M, T, '
                             f'{", ".join(map(str, shape))})')
    return fields
