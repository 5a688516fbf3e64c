# 3D from partial 3D on Human3.6M. Official: as h36m-complete-2d_27f with masks of a limb or 3 joints.
_base_ = './h36m-complete-2d_27f.py'
train_dataloader = dict(dataset=dict(pipeline=[
    dict(type='RandomFlip'),
    dict(type='NormalizeCoords', target='root_relative'),
    dict(type='Take3DInputs'),
    dict(type='SampleJointGroups', groups=['left_leg', 'right_leg', 'left_arm', 'right_arm', 3]),
    dict(type='PackInputs', fields=['target_3d']),
]))
val_dataloader = dict(dataset=dict(pipeline=[
    dict(type='NormalizeCoords', target='root_relative'),
    dict(type='Take3DInputs'),
    dict(type='SampleJointGroups', groups=['left_leg', 'right_leg', 'left_arm', 'right_arm']),
    dict(type='PackInputs', fields=['keypoints_3d', 'keypoints_2d', 'confidence']),
]))
test_dataloader = val_dataloader
