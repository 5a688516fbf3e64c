# MotionBERT from scratch: configs/pose3d/MB_train_h36m.yaml.
train_cfg = dict(by_epoch=True, max_epochs=120, val_interval=10)
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=2e-4, weight_decay=0.01))
param_scheduler = [dict(type='ExponentialLR', gamma=0.99, by_epoch=True)]
