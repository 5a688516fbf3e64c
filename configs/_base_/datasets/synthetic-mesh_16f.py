# Procedural motion of twelve actions, made under data/ on first use; SMPL rotations and shapes of the synthetic body.
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
        num_clips=96,
        split='mesh-train',
        window=dict(num_frames=16, stride=16, jitter=True),
        input_2d='detected',
        targets=['smpl_pose', 'smpl_betas'],
        pipeline=[
            dict(type='RandomFlip'),
            dict(type='NormalizeCoords', inputs='crop_scale', target=None, crop_range=[1, 3]),
            dict(type='PackInputs', fields=['smpl_pose', 'smpl_betas']),
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
        split='mesh-val',
        window=dict(num_frames=16, stride=16),
        input_2d='detected',
        targets=['smpl_pose', 'smpl_betas'],
        test_mode=True,
        pipeline=[
            dict(type='NormalizeCoords', inputs='crop_scale', target=None, crop_range=[2, 2]),
            dict(type='PackInputs', fields=['smpl_pose', 'smpl_betas', 'keypoints_2d', 'confidence']),
        ]),
)
test_dataloader = val_dataloader
