# Official: configs/mesh/MB_ft_*.yaml: AdamW, weight decay 0.01, x 0.98 after every epoch, head 5e-4, backbone 5e-5.
train_cfg = dict(type='ResumableEpochLoop', max_epochs=60, val_interval=1)
optim_wrapper = dict(
    constructor='MotionOptimConstructor',
    optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.01),
    paramwise_cfg=dict(backbone_lr_mult=0.1),
)
param_scheduler = [dict(type='ExponentialLR', gamma=0.98, by_epoch=True)]
