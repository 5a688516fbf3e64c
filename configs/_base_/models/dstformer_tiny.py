# For runs of minutes on one or two CPU cores; not a published size.
_base_ = './dstformer_small.py'
model = dict(backbone=dict(max_frames=9, depth=2))
