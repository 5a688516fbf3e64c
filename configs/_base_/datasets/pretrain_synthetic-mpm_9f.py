# MPM, stage I, on procedural motion: three tasks, which take turns.
_base_ = './synthetic_9f.py'
mask = dict(type='SampleExactMask', frame_ratio=0.6, num_joints=5)


def synthetic(targets, *steps):
    """The windows of the procedural clips with the steps of a task."""
    return dict(type='SyntheticDataset', data_root='data', num_clips=160, split='train', input_2d='detected',
                targets=targets, window=dict(num_frames=9, stride=9, jitter=True),
                pipeline=[dict(type='ConvertSkeleton', target='h36m16'), dict(type='RandomFlip'), *steps])


train_dataloader = dict(
    batch_sampler=dict(type='SourceBatchSampler', order='cycle'),
    dataset=dict(
        _delete_=True,
        type='MixedDataset',
        loss_weights=dict(m2m=5.0, m3m=2.0, m2l=1.0),
        datasets=dict(
            m2m=synthetic([], dict(type='NormalizeCoords', target=None),
                          dict(type='ReprojectionTarget', root_relative=False), mask,
                          dict(type='PackInputs', fields=['target_2d', 'weight_2d'])),
            m3m=synthetic(['keypoints_3d'], dict(type='NormalizeCoords'), dict(type='Take3DInputs'), mask,
                          dict(type='PackInputs', fields=['target_3d'])),
            m2l=synthetic(['keypoints_3d'], dict(type='NormalizeCoords'), mask,
                          dict(type='PackInputs', fields=['target_3d'])))),
)
val_dataloader = dict(dataset=dict(pipeline=[
    dict(type='ConvertSkeleton', target='h36m16'),
    dict(type='NormalizeCoords'),
    mask,
    dict(type='PackInputs', fields=['keypoints_3d', 'keypoints_2d', 'confidence']),
]))
test_dataloader = val_dataloader
val_evaluator = [dict(type='Pose3DMetric'), dict(type='Pose2DMetric')]
test_evaluator = val_evaluator
