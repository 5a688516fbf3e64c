# MPM, stage I, on motion capture: three tasks on all clips that are not held out, which take turns.
data_root = 'data/cmu'
held_out = ['*/basketball/basketball_3*', '*/basketball_signal/basketball_signal_3*', '*/jumping/jumping_3*',
            '*/running/running_3*', '*/soccer/soccer_3*', '*/walking/walking_3@*', '*/walking/walking_3#*',
            '*/directing_traffic/*']
mask = dict(type='SampleExactMask', frame_ratio=0.6, num_joints=5)
collate_fn = dict(type='motionbert_mm.collate_batch')


def mocap(targets, *steps, input_2d='detected'):
    """The windows of the clips that are not held out with the steps of a task."""
    return dict(type='MotionDataset', data_root='data/cmu', exclude=held_out, input_2d=input_2d, targets=targets,
                window=dict(num_frames=9, stride=3, jitter=True),
                pipeline=[dict(type='ConvertSkeleton', target='h36m16'), dict(type='RandomFlip'), *steps])


train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    sampler=dict(type='ResumableSampler', shuffle=True),
    batch_sampler=dict(type='SourceBatchSampler', order='cycle'),
    collate_fn=collate_fn,
    dataset=dict(
        type='MixedDataset',
        loss_weights=dict(m2m=5.0, m3m=2.0, m2l=1.0),
        datasets=dict(
            m2m=mocap([], dict(type='NormalizeCoords', target=None),
                      dict(type='ReprojectionTarget', root_relative=False), mask,
                      dict(type='PackInputs', fields=['target_2d', 'weight_2d'])),
            m3m=mocap(['keypoints_3d'], dict(type='NormalizeCoords'), dict(type='Take3DInputs'), mask,
                      dict(type='PackInputs', fields=['target_3d'])),
            m2l=mocap(['keypoints_3d'], dict(type='NormalizeCoords'), mask,
                      dict(type='PackInputs', fields=['target_3d'])))),
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
            dict(type='ConvertSkeleton', target='h36m16'),
            dict(type='NormalizeCoords'),
            mask,
            dict(type='PackInputs', fields=['keypoints_3d', 'keypoints_2d', 'confidence']),
        ]),
)
test_dataloader = val_dataloader
val_evaluator = [dict(type='Pose3DMetric'), dict(type='Pose2DMetric')]
test_evaluator = val_evaluator
