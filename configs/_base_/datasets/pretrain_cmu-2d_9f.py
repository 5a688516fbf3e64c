# As pretrain_cmu_9f, joined by the detections of clips without 3D.
_base_ = './pretrain_cmu_9f.py'
train_dataloader = dict(dataset=dict(datasets=dict(
    video=dict(
        type='MotionDataset',
        data_root='data/cmu',
        include=['*/walking_extra/walking_[34]*', '*/basketball_signal_4*', '*/soccer_5*', '*/jumping_5*'],
        window=dict(num_frames=9, stride=9, jitter=True),
        input_2d='detected',
        targets=[],
        pipeline=[
            dict(type='RandomFlip'),
            # Differs from official: its ratios 0.25..1 clip joints off; the inverse makes the person smaller instead.
            dict(type='NormalizeCoords', inputs='crop_scale', crop_range=(1.0, 4.0), target=None),
            dict(type='ReprojectionTarget'),
            dict(type='SampleMask', joint_ratio=0.05, frame_ratio=0.1),
            dict(type='PackInputs', fields=['target_2d', 'weight_2d']),
        ]),
)))
