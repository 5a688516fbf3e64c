# MPM, stage I: 4,013,653 parameters. One layer of width 256 for each decoder, as in the released code and the paper;
# but its table 7 counts four of width 128: neck.out_channels=128, depth=4 of both heads.
model = dict(
    type='MotionModel',
    skeleton='h36m16',
    flip_test=True,
    backbone=dict(type='MPMEncoder', num_joints=16, max_frames=243, depth=4),
    neck=dict(type='RestoreFrames', max_frames=243),
    heads=dict(
        pose_2d=dict(type='MaskedPoseHead', num_joints=16, depth=1, losses=[dict(type='MPJPELoss')]),
        pose_3d=dict(type='FramePoseHead', num_joints=16, depth=1, losses=[dict(type='MPJPELoss')]),
    ),
)
