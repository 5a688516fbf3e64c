# MPM, stage II: 7,006,816 parameters. Official: model/MPM.py with --layers 4 --frames 243 --n_joints 16
model = dict(
    type='MotionModel',
    skeleton='h36m16',
    flip_test=True,
    # Official: dropout of the MLP over single frames 0.2, where stage I has 0.1.
    backbone=dict(type='MPMEncoder', num_joints=16, max_frames=243, depth=4, mlp_drop=0.2, has_joint_token=False,
                  has_3d=False),
    neck=dict(type='StridedReduction', num_frames=243),
    # Weights of the paper; the released code has 1 and 1.
    heads=dict(
        frames=dict(type='FramePoseHead', num_joints=16, source='frames', losses=[dict(type='MPJPELoss', weight=1.0)]),
        centre=dict(type='FramePoseHead', num_joints=16, source='centre', centre=True,
                    losses=[dict(type='MPJPELoss', weight=2.0)]),
    ),
    predicts=['centre'],
)
