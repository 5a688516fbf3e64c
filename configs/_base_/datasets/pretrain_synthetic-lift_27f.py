# Procedural motion, made under data/ on first use; lifting from noisy, masked input that is cropped as for actions.
data_root = 'data'
collate_fn = dict(type='motionbert_mm.collate_batch')

train_dataloader = dict(
    batch_size=32,
    num_workers=0,
    sampler=dict(type='ResumableSampler', shuffle=True),
    collate_fn=collate_fn,
    dataset=dict(
        type='SyntheticDataset',
        data_root=data_root,
        num_clips=192,
        split='pretrain',
        window=dict(num_frames=27, dilation=2, jitter=True),
        input_2d='exact',
        pipeline=[
            dict(type='AddDetectorNoise'),
            dict(type='RandomFlip'),
            dict(type='NormalizeCoords', inputs='crop_scale', crop_range=[1, 3]),
            dict(type='SampleMask', joint_ratio=0.05, frame_ratio=0.1),
            dict(type='PackInputs', fields=['target_3d']),
        ]),
)
val_dataloader = dict(
    batch_size=64,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=collate_fn,
    dataset=dict(
        type='SyntheticDataset',
        data_root=data_root,
        num_clips=24,
        split='val',
        window=dict(num_frames=27, dilation=2, stride=37),
        input_2d='detected',
        test_mode=True,
        pipeline=[
            dict(type='NormalizeCoords', inputs='crop_scale', crop_range=[2, 2]),
            dict(type='SampleMask', joint_ratio=0.0, frame_ratio=0.0),
            dict(type='PackInputs', fields=['keypoints_3d', 'keypoints_2d', 'confidence']),
        ]),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='Pose3DMetric')
test_evaluator = val_evaluator
