# 3D from partial 2D on procedural motion, 16 joints.
_base_ = './synthetic_9f.py'
train_dataloader = dict(dataset=dict(pipeline=[
    dict(type='ConvertSkeleton', target='h36m16'),
    dict(type='RandomFlip'),
    dict(type='NormalizeCoords'),
    dict(type='ReprojectionTarget', root_relative=False),
    dict(type='SampleJointGroups', groups=['legs', 'arms', 'left_side', 'right_side', 6]),
    dict(type='PackInputs', fields=['target_2d', 'weight_2d', 'target_3d']),
]))
val_dataloader = dict(dataset=dict(input_2d='exact', pipeline=[
    dict(type='ConvertSkeleton', target='h36m16'),
    dict(type='NormalizeCoords'),
    dict(type='SampleJointGroups', groups=['left_arm']),
    dict(type='PackInputs', fields=['keypoints_3d', 'keypoints_2d', 'confidence']),
]))
test_dataloader = val_dataloader
val_evaluator = dict(type='Pose3DMetric', overlap='errors')
test_evaluator = val_evaluator
