# cmu_27f on the 16 joints of MPM, for models that lift the centre frame: all clips that are not held out, detected 2D.
_base_ = './cmu_27f.py'
train_dataloader = dict(batch_size=64, dataset=dict(window=dict(num_frames=9, stride=3), input_2d='detected', pipeline=[
    dict(type='ConvertSkeleton', target='h36m16'),
    dict(type='RandomFlip'),
    dict(type='NormalizeCoords'),
    dict(type='PackInputs', fields=['target_3d']),
]))
val_dataloader = dict(dataset=dict(window=dict(_delete_=True, kind='centre', num_frames=9), pipeline=[
    dict(type='ConvertSkeleton', target='h36m16'),
    dict(type='NormalizeCoords'),
    # Hides nothing; other ratios test on missing joints.
    dict(type='SampleMask', joint_ratio=0.0, frame_ratio=0.0),
    dict(type='PackInputs', fields=['keypoints_3d', 'keypoints_2d', 'confidence']),
]))
test_dataloader = dict(val_dataloader, dataset=dict(val_dataloader['dataset'], include={{_base_.held_out}}))
