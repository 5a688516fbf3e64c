"""Heads and losses of this package inside MMPose's ``PoseLifter``."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

import numpy as np
import torch
from mmengine.model import BaseModule
from mmengine.structures import InstanceData
from torch import Tensor, nn

from motionbert_mm.geometry.targets import UNIT_MM
from motionbert_mm.models.motion_model import Features, choose_features
from motionbert_mm.registry import MODELS, build
from motionbert_mm.structures.motion_sample import MotionSample
from motionbert_mm.structures.skeleton import get_skeleton

MM_PER_METRE = 1000.0
# Row of ``geometry.targets.TARGETS`` -> the codec of MMPose that makes such targets.
CODECS = {'image_space': 'MotionBERTLabel', 'root_relative': 'VideoPoseLifting'}


@MODELS.register_module()
class LiftHeadForMMPose(BaseModule):
    """Lifting heads of this package with their losses, in the place of a head of MMPose.

    Behind ``PoseLifterBackbone``. It learns ``lifting_target_label`` of MMPose's codecs, and predicts metres, relative
    to the root joint as ``MotionBERTLabel`` has it, or with ``target_root`` put back as ``VideoPoseLifting`` has it.

    The frames that it predicts are those that the samples have targets of: all T, or, if that is one, the centre of the
    window, which is how MMPose tests with ``seq_len=T`` and how ``Pose3DInferencer`` works.

    Image-space predictions become metres by ``factor``, millimetres per pixel, of the samples; where it is 0, which in
    MMPose means that it is unknown, the person is taken for an adult of average size.

    Args:
        heads: name -> config of a lifting head, ``in_channels`` included.
        predicts: name of the head that predicts; the others only train. None is the only one.
        target: what the heads regress: 'image_space', the targets of ``MotionBERTLabel``, or 'root_relative', metres,
            those of ``VideoPoseLifting(zero_center=True)``.
        skeleton: joint set.
        init_cfg: MMEngine's initialisation.

    Raises:
        ValueError: an unknown target, a head that does not lift, or ``predicts`` that names none; when called, samples
            that lack what the codec and ``meta_keys`` of the pipeline should have given.
    """

    def __init__(self, heads: Mapping[str, dict], *, predicts: Optional[str] = None, target: str = 'image_space',
                 skeleton: str = 'h36m', init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        if target not in CODECS:
            raise ValueError(f'target is {target!r}, expected one of {", ".join(CODECS)}')
        self.target, self.skeleton = target, get_skeleton(skeleton)
        self.heads = nn.ModuleDict({name: build(MODELS, head) for name, head in heads.items()})
        others = [name for name, head in self.heads.items() if head.target_name != 'target_3d']
        if others:
            raise ValueError(f'the heads {", ".join(others)} do not lift to 3D, and MMPose has targets for nothing '
                             'else')
        if predicts not in self.heads and not (predicts is None and len(self.heads) == 1):
            raise ValueError(f'predicts is {predicts!r}, expected one of the heads {", ".join(self.heads)}')
        self.predicts = predicts or next(iter(self.heads))

    def forward(self, feats: Features) -> Tensor:
        """Return the output (B, T', K, 3) of the head that predicts, in normalised units."""
        return self._run(self.predicts, feats)

    def loss(self, feats: Features, batch_data_samples: Sequence[Any], train_cfg: Optional[dict] = None) -> dict:
        """Return the losses of all heads, under their own names or, of several heads, ``<head>.loss_<quantity>``."""
        samples = self._targets(batch_data_samples)
        losses = {}
        for name, head in self.heads.items():
            prefix = f'{name}.' if len(self.heads) > 1 else ''
            found = head.loss(choose_features(feats, head.source, name), samples)
            losses.update({prefix + key: value for key, value in found.items()})
        return losses

    def predict(self, feats: Any, batch_data_samples: Sequence[Any], test_cfg: Optional[dict] = None) -> list:
        """Return an ``InstanceData`` for every sample: keypoints (T', K, 3) metres, keypoint_scores (T', K) of 1.

        Args:
            feats: of the backbone; with ``flip_test`` those of the mirrored inputs too.
            batch_data_samples: MMPose's samples.
            test_cfg: of the model.
        """
        head = self.heads[self.predicts]
        passes = feats if (test_cfg or {}).get('flip_test', False) else [feats]
        outputs = [self.forward(each) for each in passes]
        output = outputs[0]
        if len(outputs) > 1:
            output = head.average_mirrored(output, outputs[1], list(self.skeleton.flip_indices))
        points = head.decode(output[:, None], self._norm(batch_data_samples))['keypoints_3d'][:, 0] / MM_PER_METRE
        if not head.centre and self._has_one_target(batch_data_samples):
            middle = points.shape[1] // 2
            points = points[:, middle:middle + 1]
        return [_instance(*pair) for pair in zip(points.detach().cpu().numpy(), batch_data_samples)]

    def _run(self, name: str, feats: Features) -> Tensor:
        head = self.heads[name]
        return head(choose_features(feats, head.source, name))

    def _targets(self, samples: Sequence[Any]) -> MotionSample:
        """Make the targets of a batch ours."""
        labels = [sample.gt_instance_labels for sample in samples]
        if any('lifting_target_label' not in label for label in labels):
            raise ValueError(f'the samples have no lifting_target_label; put dict(type="GenerateTarget", encoder=dict('
                             f'type={CODECS[self.target]!r}, ...)) into the pipeline')
        target = torch.stack([label.lifting_target_label for label in labels]).float()[:, None]
        weight = torch.stack([label.lifting_target_weight for label in labels])
        return MotionSample(target_3d=target, visible=weight.reshape(target.shape[:-1]) > 0,
                            metainfo=dict(skeleton=self.skeleton.name))

    def _norm(self, samples: Sequence[Any]) -> MotionSample:
        """Return a sample whose metainfo leads from the output back to millimetres."""
        norm = dict(target=self.target, root=np.full(len(samples), self.skeleton.root))
        if self.target == 'root_relative':
            norm['scale'] = np.full(len(samples), UNIT_MM, np.float32)
        else:
            norm['image_size'] = np.array([_image_size(sample) for sample in samples], np.float32)
            norm['factor'] = np.stack([_factor(sample) for sample in samples])[:, None]  # (B, 1, T or 1)
        return MotionSample(metainfo=dict(norm=norm, skeleton=self.skeleton.name))

    @staticmethod
    def _has_one_target(samples: Sequence[Any]) -> bool:
        return all(len(sample.gt_instances.get('lifting_target', ())) == 1 for sample in samples)


def _image_size(sample: Any) -> tuple[float, float]:
    camera = sample.metainfo.get('camera_param') or {}
    if 'w' not in camera or 'h' not in camera:
        raise ValueError(f'the metainfo of the samples has no camera_param with w and h, only '
                         f"{sorted(sample.metainfo)}; add 'camera_param' and 'factor' to meta_keys of PackPoseInputs, "
                         'and name camera_param_file in the data set, or image_size where the host asks for it')
    return float(camera['w']), float(camera['h'])


def _factor(sample: Any) -> np.ndarray:
    """Millimetres per pixel (T,), or (1,) for all frames; NaN where MMPose's 0 says that it is unknown."""
    factor = np.asarray(sample.metainfo.get('factor', 0.0), np.float32).reshape(-1)
    return np.where(factor > 0, factor, np.nan)


def _instance(points: np.ndarray, sample: Any) -> InstanceData:
    """Pack (T', K, 3) metres of one sample."""
    if 'target_root' in sample.metainfo:
        root = np.asarray(sample.metainfo['target_root'], points.dtype)  # (T, 3)
        middle = len(root) // 2
        points = points + (root if len(root) == len(points) else root[middle:middle + 1])[:, None]
    return InstanceData(keypoints=points, keypoint_scores=np.ones(points.shape[:-1], np.float32))
