# No texts: regions and stretches of time hidden (table 3, + MMM).
_base_ = './actionpose-base_align-regions-windows_243f_1xb16-300e_babel_exact.py'
model = dict(
    backbone=dict(gives_token=False),
    neck=dict(_delete_=True, type='RepresentationLayer', out_channels=512),
    heads=dict(_delete_=True, pose=dict(type='PoseLiftHead', losses=[
        dict(type='MPJPELoss', weight=1.0),
        dict(type='VelocityLoss', weight=20.0),
    ])))
optim_wrapper = dict(paramwise_cfg=dict(lr_mults=dict(_delete_=True)))
train_dataloader = dict(dataset=dict(
    pipeline_changes=dict(SampleMotionMask=dict(shares=dict(region=0.5, window=0.5)))))
default_hooks = dict(checkpoint=dict(save_best='MPJPE', rule='less'))
val_evaluator = dict(_delete_=True, type='Pose3DMetric')
test_evaluator = val_evaluator
