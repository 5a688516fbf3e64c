# For two CPU cores and a few hours of motion; not a published size.
_base_ = './dstformer_base.py'
model = dict(
    backbone=dict(max_frames=27, dim=64, depth=3, num_heads=2),
    neck=dict(out_channels=64),
    heads=dict(pose=dict(losses=[
        dict(type='MPJPELoss', weight=1.0),
        dict(type='VelocityLoss', weight=2.0),
    ])),
)
