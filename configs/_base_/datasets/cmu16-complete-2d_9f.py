# 3D from partial 2D on motion capture, 16 joints: exact 2D, the same joints hidden in all frames of a window.
_base_ = './cmu_27f.py'
train_dataloader = dict(batch_size=64, dataset=dict(window=dict(num_frames=9, stride=3), pipeline=[
    dict(type='ConvertSkeleton', target='h36m16'),
    dict(type='RandomFlip'),
    dict(type='NormalizeCoords'),
    dict(type='ReprojectionTarget', root_relative=False),
    dict(type='SampleJointGroups', groups=['legs', 'arms', 'left_side', 'right_side', 6]),
    dict(type='PackInputs', fields=['target_2d', 'weight_2d', 'target_3d']),
]))
val_dataloader = dict(dataset=dict(input_2d='exact', window=dict(num_frames=9), pipeline=[
    dict(type='ConvertSkeleton', target='h36m16'),
    dict(type='NormalizeCoords'),
    dict(type='SampleJointGroups', groups=['legs', 'arms', 'left_side', 'right_side', 1, 2]),
    dict(type='PackInputs', fields=['keypoints_3d', 'keypoints_2d', 'confidence']),
]))
test_dataloader = dict(val_dataloader, dataset=dict(val_dataloader['dataset'], include={{_base_.held_out}}))
val_evaluator = dict(type='Pose3DMetric', overlap='errors')
test_evaluator = val_evaluator
