# MotionBERT, 42,466,317 parameters. Official: configs/pose3d/MB_train_h36m.yaml
model = dict(
    type='MotionModel',
    skeleton='h36m',
    flip_test=True,
    backbone=dict(type='DSTformer', max_frames=243, dim=512, depth=5, num_heads=8, mlp_ratio=2.0),
    neck=dict(type='RepresentationLayer', out_channels=512),
    heads=dict(pose=dict(type='PoseLiftHead', losses=[
        dict(type='MPJPELoss', weight=1.0),
        dict(type='NMPJPELoss', weight=0.5),
        dict(type='VelocityLoss', weight=20.0),
    ])),
)
