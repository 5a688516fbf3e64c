# P-STMO: --lr 0.0007, 3 % less after every epoch.
train_cfg = dict(by_epoch=True, max_epochs=80, val_interval=5)
optim_wrapper = dict(optimizer=dict(type='Adam', lr=7e-4, amsgrad=True))
param_scheduler = [dict(type='ExponentialLR', gamma=0.97, by_epoch=True)]
