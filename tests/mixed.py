"""Training on two generated sources: motion with 3D truth, and video of which detections are known."""
from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.config import Config

from tests.generated import NUM_FRAMES, make_config

WINDOW = dict(num_frames=NUM_FRAMES, stride=NUM_FRAMES, jitter=True)


def make_mixed_config(store: Path, **changes: Any) -> Config:
    """Like ``make_config``, pretraining on walking in 3D and, from the second epoch, on waving in 2D."""
    data = dict(type='MotionDataset', data_root=str(store), window=WINDOW)
    mocap = dict(data, include=['walk/*'], input_2d='exact', pipeline=[
        dict(type='RandomFlip'), dict(type='NormalizeCoords', target='image_space'),
        dict(type='SampleMask', joint_ratio=0.1, frame_ratio=0.1), dict(type='PackInputs', fields=['target_3d'])])
    video = dict(data, include=['wave/*'], input_2d='detected', targets=[], pipeline=[
        dict(type='RandomFlip'), dict(type='NormalizeCoords', inputs='crop_scale', crop_range=(1.0, 2.0), target=None),
        dict(type='ReprojectionTarget'), dict(type='SampleMask', joint_ratio=0.1, frame_ratio=0.1),
        dict(type='PackInputs', fields=['target_2d', 'weight_2d'])])
    config = make_config(store)
    config.merge_from_dict({
        'train_dataloader.dataset': dict(_delete_=True, type='MixedDataset', datasets=dict(video=video, mocap=mocap)),
        'train_dataloader.batch_sampler': dict(type='SourceBatchSampler', order='proportional'),
        'train_dataloader.batch_size': 8,
        'model.heads.pose.losses_2d': [dict(type='Weighted2DLoss')],
        'default_hooks.curriculum': dict(type='CurriculumHook', first_epochs=dict(video=1)),
        'train_cfg.max_epochs': 3,
        'param_scheduler': [dict(type='OneCycleLR', eta_max=2e-3, total_steps=4, by_epoch=True)],
        **changes})
    return config
