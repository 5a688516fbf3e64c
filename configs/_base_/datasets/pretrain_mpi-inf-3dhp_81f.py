# Masked pose modelling on the 2D of mpi-inf-3dhp_81f; no 3D.
_base_ = './mpi-inf-3dhp_81f.py'
# Official: --temporal_mask_rate 0.7 --spatial_mask_num 2 in the README of P-STMO.
mask = dict(type='SampleExactMask', frame_ratio=0.7, num_joints=2)
train_dataloader = dict(dataset=dict(
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
