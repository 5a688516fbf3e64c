# python tools/dataset_converters/mocap_npz.py cmu_mocap_h36m17_train.npz data/cmu
# Seven actions by few clips: windows of 0.9 seconds are counted, of other clips than those of training.
data_root = 'data/cmu'
held_out = ['*/basketball/basketball_3*', '*/basketball_signal/basketball_signal_3*', '*/directing_traffic_1*',
            '*/jumping/jumping_3*', '*/running/running_3*', '*/soccer/soccer_3*', '*/walking/walking_3#*',
            '*/walking_extra/walking_3*']
collate_fn = dict(type='motionbert_mm.collate_batch')

train_dataloader = dict(
    batch_size=32,
    num_workers=0,
    sampler=dict(type='ResumableSampler', shuffle=True),
    collate_fn=collate_fn,
    dataset=dict(
        type='MotionDataset',
        data_root=data_root,
        exclude=held_out,
        window=dict(num_frames=27, stride=27, jitter=True),
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
        type='MotionDataset',
        data_root=data_root,
        include=held_out,
        window=dict(num_frames=27, stride=14),
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
val_evaluator = dict(type='ActionMetric', per='window')
test_evaluator = val_evaluator
