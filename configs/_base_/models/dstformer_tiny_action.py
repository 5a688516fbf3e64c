# For runs of minutes on one or two CPU cores; not a published size.
_base_ = './dstformer_base_action.py'
model = dict(
    backbone=dict(max_frames=27, dim=64, depth=2, num_heads=2),
    neck=dict(out_channels=64),
    heads=dict(action=dict(hidden_channels=256)),
)
