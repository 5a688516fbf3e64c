# AdamW with the same weight decay on all parameters, x 0.99 after every epoch, no warm-up, no clipping.
# Official: learning_rate 0.0002, weight_decay 0.01, lr_decay 0.99, epochs 60 in configs/pose3d/MB_ft_h36m.yaml.
train_cfg = dict(type='ResumableEpochLoop', max_epochs=60, val_interval=1)
optim_wrapper = dict(
    constructor='MotionOptimConstructor',
    optimizer=dict(type='AdamW', lr=2e-4, weight_decay=0.01),
    # Official: one learning rate for all in 3D pose. The paper's 0.1 is for tasks whose heads begin anew.
    paramwise_cfg=dict(backbone_lr_mult=1.0),
)
param_scheduler = [dict(type='ExponentialLR', gamma=0.99, by_epoch=True)]
