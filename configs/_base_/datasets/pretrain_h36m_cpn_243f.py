# Masked pose modelling on the 2D of h36m_cpn_243f: the same windows, no 3D. The score is the error of the restored
# poses of the test subjects under random masks, as in the official code.
_base_ = './h36m_cpn_243f.py'
# Official: --temporal_mask_rate 0.8 --spatial_mask_num 2, one mask for a batch; here one for every sample.
mask = dict(type='SampleExactMask', frame_ratio=0.8, num_joints=2)
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
