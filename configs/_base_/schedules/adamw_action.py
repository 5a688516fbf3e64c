# Official: configs/action/*.yaml: AdamW, weight decay 0.01, x 0.99 after every epoch, head 1e-3, backbone 1e-4.
train_cfg = dict(type='ResumableEpochLoop', max_epochs=300, val_interval=1)
optim_wrapper = dict(
    constructor='MotionOptimConstructor',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01),
    paramwise_cfg=dict(backbone_lr_mult=0.1),
)
param_scheduler = [dict(type='ExponentialLR', gamma=0.99, by_epoch=True)]
