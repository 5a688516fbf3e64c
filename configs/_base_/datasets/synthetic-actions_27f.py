# Procedural motion of twelve actions, made under data/ on first use; windows span 1.8 seconds.
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
        split='action-train',
        window=dict(num_frames=27, dilation=2, jitter=True),
        input_2d='detected',
        targets=[],
        pipeline=[
            dict(type='RandomMove'),
            dict(type='NormalizeCoords', inputs='crop_scale', target=None, crop_range=[1, 3]),
            dict(type='ZeroMissing'),
            dict(type='PackInputs', fields=['label']),
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
        num_clips=48,
        split='action-val',
        window=dict(num_frames=27, dilation=2, stride=37),
        input_2d='detected',
        targets=[],
        test_mode=True,
        pipeline=[
            dict(type='NormalizeCoords', inputs='crop_scale', target=None, crop_range=[2, 2]),
            dict(type='ZeroMissing'),
            dict(type='PackInputs', fields=['label']),
        ]),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='ActionMetric')
test_evaluator = val_evaluator
