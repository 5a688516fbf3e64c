# MPM for runs of minutes on one or two CPU cores; not a published size. Dropout would only slow so short a run.
_base_ = './mpm.py'
model = dict(
    backbone=dict(max_frames=9, dim=128, depth=2, hidden_dim=256, drop=0.0, mlp_drop=0.0),
    neck=dict(num_frames=9, drop=0.0),
)
