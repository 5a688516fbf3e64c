# Stage I of mpm_tiny.
_base_ = './mpm_mask.py'
model = dict(
    backbone=dict(max_frames=9, dim=128, depth=2, hidden_dim=256, drop=0.0),
    neck=dict(max_frames=9),
    heads=dict(pose_2d=dict(drop=0.0), pose_3d=dict(drop=0.0)),
)
