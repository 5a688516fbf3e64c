# No texts: regions of the body and stretches of time hidden.
_base_ = './actionpose-tiny_align-regions-windows_27f_1xb16-10e_synthetic-text_det.py'
model = dict(
    backbone=dict(gives_token=False),
    neck=dict(_delete_=True, type='RepresentationLayer', out_channels=64),
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
