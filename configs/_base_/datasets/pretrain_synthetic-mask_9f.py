# Masked pose modelling on the detections of procedural motion; no 3D.
_base_ = './synthetic_9f.py'
mask = dict(type='SampleExactMask', frame_ratio=0.6, num_joints=2)
train_dataloader = dict(dataset=dict(
    input_2d='detected',
    targets=[],
    pipeline=[
        dict(type='RandomFlip'),
        dict(type='NormalizeCoords', target=None),
        dict(type='ReprojectionTarget', root_relative=False),
        mask,
        dict(type='PackInputs', fields=['target_2d', 'weight_2d']),
    ]))
val_dataloader = dict(dataset=dict(
    targets=[],
    pipeline=[
        dict(type='NormalizeCoords', target=None),
        mask,
        dict(type='PackInputs', fields=['keypoints_2d', 'confidence']),
    ]))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='Pose2DMetric')
test_evaluator = val_evaluator
