# python tools/dataset_converters/mocap_npz.py cmu_mocap_h36m17_train.npz data/cmu
data_root = 'data/cmu'
# Held out: one clip of each action, and the whole action directing_traffic.
held_out = ['*/basketball/basketball_3*', '*/basketball_signal/basketball_signal_3*', '*/jumping/jumping_3*',
            '*/running/running_3*', '*/soccer/soccer_3*', '*/walking/walking_3@*', '*/walking/walking_3#*',
            '*/directing_traffic/*']
collate_fn = dict(type='motionbert_mm.collate_batch')

train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    sampler=dict(type='ResumableSampler', shuffle=True),
    collate_fn=collate_fn,
    dataset=dict(
        type='MotionDataset',
        data_root=data_root,
        exclude=held_out,
        window=dict(num_frames=27, stride=9, jitter=True),
        input_2d='exact',
        pipeline=[
            # Drawn anew in every epoch; the detections in the store are one fixed draw of the same kind.
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
        type='MotionDataset',
        data_root=data_root,
        include=held_out,
        window=dict(num_frames=27, stride=9),
        input_2d='detected',
        test_mode=True,
        pipeline=[
            dict(type='NormalizeCoords'),
            # Hides nothing; other ratios test on missing joints.
            dict(type='SampleMask', joint_ratio=0.0, frame_ratio=0.0),
            dict(type='PackInputs', fields=['keypoints_3d', 'keypoints_2d', 'confidence']),
        ]),
)
# Testing takes every clip of the store that data_root names.
test_dataloader = dict(val_dataloader, dataset=dict(val_dataloader['dataset'], include=[]))

val_evaluator = dict(type='Pose3DMetric')
test_evaluator = val_evaluator
