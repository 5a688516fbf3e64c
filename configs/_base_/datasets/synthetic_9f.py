# Procedural motion, made under data/ on first use; nothing is downloaded.
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
        num_clips=160,
        split='train',
        window=dict(num_frames=9, stride=9, jitter=True),
        input_2d='exact',
        pipeline=[
            dict(type='AddDetectorNoise'),
            dict(type='RandomFlip'),
            dict(type='NormalizeCoords'),
            dict(type='PackInputs', fields=['target_3d']),
        ]),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=collate_fn,
    dataset=dict(
        type='SyntheticDataset',
        data_root=data_root,
        num_clips=36,
        split='val',
        window=dict(num_frames=9, stride=5),
        input_2d='detected',
        test_mode=True,
        pipeline=[
            dict(type='NormalizeCoords'),
            dict(type='PackInputs', fields=['keypoints_3d', 'keypoints_2d', 'confidence']),
        ]),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='Pose3DMetric')
test_evaluator = val_evaluator
