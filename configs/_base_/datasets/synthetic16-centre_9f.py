# synthetic-centre_9f on the 16 joints of MPM.
_base_ = './synthetic-centre_9f.py'
train_dataloader = dict(dataset=dict(pipeline=[
    dict(type='ConvertSkeleton', target='h36m16'),
    dict(type='AddDetectorNoise'),
    dict(type='RandomFlip'),
    dict(type='NormalizeCoords'),
    dict(type='PackInputs', fields=['target_3d']),
]))
val_dataloader = dict(dataset=dict(pipeline=[
    dict(type='ConvertSkeleton', target='h36m16'),
    dict(type='NormalizeCoords'),
    dict(type='PackInputs', fields=['keypoints_3d', 'keypoints_2d', 'confidence']),
]))
test_dataloader = val_dataloader
