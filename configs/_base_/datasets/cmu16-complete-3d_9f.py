# 3D from partial 3D on motion capture, 16 joints.
_base_ = './cmu16-complete-2d_9f.py'
train_dataloader = dict(dataset=dict(pipeline=[
    dict(type='ConvertSkeleton', target='h36m16'),
    dict(type='RandomFlip'),
    dict(type='NormalizeCoords'),
    dict(type='Take3DInputs'),
    dict(type='SampleJointGroups', groups=['left_leg', 'right_leg', 'left_arm', 'right_arm', 3]),
    dict(type='PackInputs', fields=['target_3d']),
]))
val_dataloader = dict(dataset=dict(pipeline=[
    dict(type='ConvertSkeleton', target='h36m16'),
    dict(type='NormalizeCoords'),
    dict(type='Take3DInputs'),
    dict(type='SampleJointGroups', groups=['left_leg', 'right_leg', 'left_arm', 'right_arm']),
    dict(type='PackInputs', fields=['keypoints_3d', 'keypoints_2d', 'confidence']),
]))
test_dataloader = dict(val_dataloader, dataset=dict(val_dataloader['dataset'], include={{_base_.held_out}}))
