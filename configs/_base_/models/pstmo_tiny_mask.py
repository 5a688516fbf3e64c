# Stage I of pstmo_tiny.
_base_ = './pstmo-s_mask.py'
model = dict(
    backbone=dict(max_frames=27, dim=128, depth=2, hidden_dim=256, drop=0.0),
    neck=dict(out_channels=64, max_frames=27),
    heads=dict(masked=dict(depth=1, drop=0.0)),
)
