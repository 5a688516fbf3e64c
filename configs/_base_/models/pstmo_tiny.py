# P-STMO for runs of minutes on one or two CPU cores; not a published size.
_base_ = './pstmo-s.py'
model = dict(backbone=dict(max_frames=27, dim=64, depth=2, hidden_dim=128), neck=dict(num_frames=27))
