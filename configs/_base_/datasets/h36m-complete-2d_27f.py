# 3D from partial 2D on Human3.6M: the same joints are hidden in all frames of a window. Test configs choose the joints.
# Official: README of MPM, --frames 27 --t_downsample 2 --n_joints 17, ground-truth 2D, masks legs, arms, either side or
# 6 joints in training; tested on all frames of every window.
_base_ = './h36m_videopose3d-gt_243f.py'
window = dict(num_frames=27)
train_dataloader = dict(batch_size=2048, dataset=dict(window=window, pipeline=[
    dict(type='RandomFlip'),
    dict(type='NormalizeCoords', target='root_relative'),
    dict(type='ReprojectionTarget', root_relative=False),
    dict(type='SampleJointGroups', groups=['legs', 'arms', 'left_side', 'right_side', 6]),
    dict(type='PackInputs', fields=['target_2d', 'weight_2d', 'target_3d']),
]))
val_dataloader = dict(dataset=dict(window=window, pipeline=[
    dict(type='NormalizeCoords', target='root_relative'),
    dict(type='SampleJointGroups', groups=['legs', 'arms', 'left_side', 'right_side', 1, 2]),
    dict(type='PackInputs', fields=['keypoints_3d', 'keypoints_2d', 'confidence']),
]))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='Pose3DMetric', overlap='errors')
test_evaluator = val_evaluator
