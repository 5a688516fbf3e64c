# h36m_cpn_243f on the 16 joints of MPM. Errors over 16 joints cannot be compared with those over 17.
_base_ = './h36m_cpn_243f.py'
train_dataloader = dict(batch_size=1024, dataset=dict(pipeline=[
    dict(type='ConvertSkeleton', target='h36m16'),
    dict(type='RandomFlip'),
    dict(type='NormalizeCoords', target='root_relative'),
    dict(type='PackInputs', fields=['target_3d']),
]))
val_dataloader = dict(dataset=dict(pipeline=[
    dict(type='ConvertSkeleton', target='h36m16'),
    dict(type='NormalizeCoords', target='root_relative'),
    dict(type='PackInputs', fields=['keypoints_3d', 'keypoints_2d', 'confidence']),
]))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='Pose3DMetric')
test_evaluator = val_evaluator
