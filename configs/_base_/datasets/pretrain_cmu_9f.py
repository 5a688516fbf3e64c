# Pretraining on motion capture; before, docs/pretraining.md:
#   python tools/dataset_converters/mocap_npz.py cmu_mocap_h36m17_train.npz data/cmu
#   python tools/analysis_tools/fit_noise.py data/cmu data/cmu_noise.json --num-frames 81 --num-keyframes 9
data_root = 'data/cmu'
held_out = ['*/basketball/basketball_3*', '*/basketball_signal/basketball_signal_3*', '*/jumping/jumping_3*',
            '*/running/running_3*', '*/soccer/soccer_3*', '*/walking/walking_3@*', '*/walking/walking_3#*',
            '*/directing_traffic/*']
collate_fn = dict(type='motionbert_mm.collate_batch')

train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    sampler=dict(type='ResumableSampler', shuffle=True),
    batch_sampler=dict(type='SourceBatchSampler', order='proportional'),
    collate_fn=collate_fn,
    dataset=dict(
        type='MixedDataset',
        datasets=dict(
            mocap=dict(
                type='MotionDataset',
                data_root=data_root,
                # 23 clips besides stand for video, of which only detections are known: pretrain_cmu-2d_9f.py.
                exclude=[*held_out, '*/walking_extra/walking_[34]*', '*/basketball_signal_4*', '*/soccer_5*',
                         '*/jumping_5*'],
                window=dict(num_frames=9, stride=9, jitter=True),
                input_2d='exact',
                pipeline=[
                    dict(type='RandomFlip'),
                    dict(type='NormalizeCoords', target='image_space'),
                    dict(type='AddMixtureNoise', params='data/cmu_noise.json'),
                    dict(type='SampleMask', joint_ratio=0.05, frame_ratio=0.1),
                    dict(type='PackInputs', fields=['target_3d']),
                ]))),
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
        window=dict(num_frames=9, stride=9),
        input_2d='detected',
        test_mode=True,
        pipeline=[
            dict(type='NormalizeCoords', target='image_space'),
            # Hides nothing; other ratios test on missing joints.
            dict(type='SampleMask', joint_ratio=0.0, frame_ratio=0.0),
            dict(type='PackInputs', fields=['keypoints_3d', 'keypoints_2d', 'confidence']),
        ]),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='Pose3DMetric')
test_evaluator = val_evaluator
