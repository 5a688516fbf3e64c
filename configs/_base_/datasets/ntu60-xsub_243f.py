# NTU RGB+D 60, HRNet detections of PYSKL: ntu60_hrnet.pkl, read as it is and kept as a store under data_root.
# Official: configs/action/MB_ft_NTU60_xsub.yaml (clip_len 243, scale ranges, random_move), lib/data/dataset_action.py.
collate_fn = dict(type='motionbert_mm.collate_batch')

train_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='ResumableSampler', shuffle=True),
    collate_fn=collate_fn,
    dataset=dict(
        type='PysklDataset',
        ann_file='data/action/ntu60_hrnet.pkl',
        data_root='data',
        split='xsub_train',
        num_persons=2,
        window=dict(kind='resample', num_frames=243, jitter=True),
        pipeline=[
            dict(type='AssociatePersons'),
            dict(type='ConvertSkeleton', target='h36m'),
            dict(type='RandomMove'),
            dict(type='NormalizeCoords', inputs='crop_scale', target=None, crop_range=[1, 3]),
            dict(type='ZeroMissing'),
            dict(type='PackInputs', fields=['label']),
        ]),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=collate_fn,
    dataset=dict(
        type='PysklDataset',
        ann_file='data/action/ntu60_hrnet.pkl',
        data_root='data',
        split='xsub_val',
        num_persons=2,
        window=dict(kind='resample', num_frames=243),
        test_mode=True,
        pipeline=[
            dict(type='AssociatePersons'),
            dict(type='ConvertSkeleton', target='h36m'),
            dict(type='NormalizeCoords', inputs='crop_scale', target=None, crop_range=[2, 2]),
            dict(type='ZeroMissing'),
            dict(type='PackInputs', fields=['label']),
        ]),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='ActionMetric')
test_evaluator = val_evaluator
