# Your clips: python tools/dataset_converters/action_folder.py FOLDER data/actions --skeleton coco17 --image-size W H
# Windows of 27 frames at a distance of 2: 1.8 seconds at 30 frames per second; set dilation for other rates.
data_root = 'data/actions'
collate_fn = dict(type='motionbert_mm.collate_batch')

train_dataloader = dict(
    batch_size=32,
    num_workers=0,
    sampler=dict(type='ResumableSampler', shuffle=True),
    collate_fn=collate_fn,
    dataset=dict(
        type='MotionDataset',
        data_root=data_root,
        split='train',
        num_persons=1,
        window=dict(num_frames=27, dilation=2, stride=14, jitter=True),
        input_2d='detected',
        targets=[],
        pipeline=[
            dict(type='ConvertSkeleton', target='h36m'),
            # Clips show one action each, long sequences one after another.
            dict(type='SpliceClips'),
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
        type='MotionDataset',
        data_root=data_root,
        split='val',
        num_persons=1,
        window=dict(num_frames=27, dilation=2, stride=14),
        input_2d='detected',
        targets=[],
        test_mode=True,
        pipeline=[
            dict(type='ConvertSkeleton', target='h36m'),
            dict(type='NormalizeCoords', inputs='crop_scale', target=None, crop_range=[2, 2]),
            dict(type='ZeroMissing'),
            dict(type='PackInputs', fields=['label']),
        ]),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='ActionMetric')
test_evaluator = val_evaluator
