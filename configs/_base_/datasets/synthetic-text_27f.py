# Procedural motion and its sentences, made under data/ on first use; one of the sentences of every action is held out.
data_root = 'data'
collate_fn = dict(type='motionbert_mm.collate_batch')

train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    sampler=dict(type='ResumableSampler', shuffle=True),
    collate_fn=collate_fn,
    dataset=dict(
        type='SyntheticTextDataset',
        data_root=data_root,
        num_clips=192,
        split='text-train',
        phrasings='train',
        window=dict(kind='crop', num_frames=27, dilation=3, jitter=True),
        negatives=dict(number=16, same_category=True),
        input_2d='detected',
        pipeline=[
            dict(type='RandomFlip'),
            dict(type='NormalizeCoords', inputs='crop_scale', crop_range=[1, 3]),
            dict(type='SampleMotionMask', num_frames=[4, 9]),
            dict(type='PackInputs', fields=['target_3d']),
        ]),
)
val_dataloader = dict(
    batch_size=64,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=collate_fn,
    dataset=dict(
        type='SyntheticTextDataset',
        data_root=data_root,
        num_clips=48,
        split='text-val',
        phrasings='train',
        window=dict(kind='crop', num_frames=27, dilation=3),
        negatives=dict(number=16, same_category=True),
        input_2d='detected',
        test_mode=True,
        pipeline=[
            dict(type='NormalizeCoords', inputs='crop_scale', crop_range=[2, 2]),
            dict(type='PackInputs', fields=['keypoints_3d', 'keypoints_2d', 'confidence']),
        ]),
)
test_dataloader = val_dataloader
