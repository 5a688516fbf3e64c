# P-STMO-S, stage I (masked pose modelling): 2,656,036 parameters. The decoder has one layer less than the encoder, and
# half its width. Official: run.py --MAE --layers 3 --frames 243
model = dict(
    type='MotionModel',
    skeleton='h36m',
    flip_test=True,
    backbone=dict(type='PSTMOEncoder', max_frames=243, dim=256, depth=3, has_joint_token=True),
    neck=dict(type='RestoreFrames', out_channels=128, max_frames=243),
    heads=dict(masked=dict(type='MaskedPoseHead', depth=2, losses=[dict(type='MPJPELoss')])),
)
