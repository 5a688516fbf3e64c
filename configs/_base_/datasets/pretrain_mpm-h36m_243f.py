# MPM, stage I, on Human3.6M: three tasks on the same windows, which take turns.
#   python tools/dataset_converters/h36m.py videopose3d data_3d_h36m.npz data_2d_h36m_cpn_ft_h36m_dbb.npz \
#       data_2d_h36m_gt.npz data/h36m-cpn
# Published (arXiv 2306.17201v1): weights 5, 2 and 1, 60 % of the frames and 5 joints of the others hidden,
# batches of 1024. Ground-truth 2D and every second frame as in the released code.
_base_ = './h36m16_cpn_243f.py'
mask = dict(type='SampleExactMask', frame_ratio=0.6, num_joints=5)


def h36m(targets, *steps):
    """The windows of Human3.6M with the steps of a task."""
    return dict(type='MotionDataset', data_root='data/h36m-cpn/train', input_2d='exact', targets=targets,
                window=dict(kind='centre', num_frames=243, dilation=2),
                pipeline=[dict(type='ConvertSkeleton', target='h36m16'), dict(type='RandomFlip'), *steps])


train_dataloader = dict(
    _delete_=True,
    batch_size=1024,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='ResumableSampler', shuffle=True),
    batch_sampler=dict(type='SourceBatchSampler', order='cycle'),
    collate_fn=dict(type='motionbert_mm.collate_batch'),
    dataset=dict(
        type='MixedDataset',
        loss_weights=dict(m2m=5.0, m3m=2.0, m2l=1.0),
        datasets=dict(
            # Masked 2D poses -> 2D poses.
            m2m=h36m([], dict(type='NormalizeCoords', target=None),
                     dict(type='ReprojectionTarget', root_relative=False), mask,
                     dict(type='PackInputs', fields=['target_2d', 'weight_2d'])),
            # Masked 3D poses -> 3D poses.
            m3m=h36m(['keypoints_3d'], dict(type='NormalizeCoords'), dict(type='Take3DInputs'), mask,
                     dict(type='PackInputs', fields=['target_3d'])),
            # Masked 2D poses -> 3D poses.
            m2l=h36m(['keypoints_3d'], dict(type='NormalizeCoords'), mask,
                     dict(type='PackInputs', fields=['target_3d'])))),
)
val_dataloader = dict(dataset=dict(input_2d='exact', pipeline=[
    dict(type='ConvertSkeleton', target='h36m16'),
    dict(type='NormalizeCoords', target='root_relative'),
    mask,
    dict(type='PackInputs', fields=['keypoints_3d', 'keypoints_2d', 'confidence']),
]))
test_dataloader = val_dataloader
# How well hidden 2D is restored, and 2D with gaps is lifted.
val_evaluator = [dict(type='Pose3DMetric'), dict(type='Pose2DMetric')]
test_evaluator = val_evaluator
