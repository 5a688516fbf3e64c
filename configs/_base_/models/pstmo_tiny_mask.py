# Stage I of pstmo_tiny.
_base_ = './pstmo-s_mask.py'
model = dict(
    backbone=dict(max_frames=27, dim=128, depth=2, hidden_dim=256, drop=0.0),
    heads=dict(masked=dict(max_frames=27, dim=64, depth=1, drop=0.0)),
)
