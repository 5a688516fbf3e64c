# For runs of minutes on one or two CPU cores, on the synthetic body; not a published size.
_base_ = './dstformer_base_mesh.py'
body_model = dict(_delete_=True, path='synthetic')
model = dict(
    backbone=dict(max_frames=27, dim=64, depth=2, num_heads=2),
    neck=dict(out_channels=64),
    # Features of a backbone that begins anew differ little from pose to pose. Dropout is louder than that, and with
    # the official weight of 10 velocities punish any difference between frames: short trainings stay at the mean body.
    heads=dict(mesh=dict(hidden_channels=256, drop=0.0, body_model=body_model, losses=[
        dict(type='MPJPELoss', weight=0.5),
        dict(type='VelocityLoss', weight=1.0),
    ])),
)
val_evaluator = dict(body_model=body_model)
test_evaluator = val_evaluator
