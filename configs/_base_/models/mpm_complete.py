# MPM for completion: 4,434,010 parameters. Official: MPMmask in model/MPMLift.py with --layers 3 --frames 27
# --n_joints 17, decoders of two layers; loss 2 x lifting + 1 x restored 2D.
_base_ = './mpm_mask.py'
model = dict(
    skeleton='h36m',
    backbone=dict(num_joints=17, max_frames=27, depth=3),
    neck=dict(max_frames=27),
    heads=dict(
        pose_2d=dict(num_joints=17, depth=2),
        pose_3d=dict(num_joints=17, depth=2, losses=[dict(type='MPJPELoss', weight=2.0)]),
    ),
)
