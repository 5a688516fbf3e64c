# Stage I of pstmo_tiny.
_base_ = './pstmo-s_mask.py'
model = dict(backbone=dict(max_frames=27, dim=64, depth=2, hidden_dim=128),
             heads=dict(masked=dict(max_frames=27, dim=32, depth=1)))
