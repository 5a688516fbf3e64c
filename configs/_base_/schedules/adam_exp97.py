# Adam with amsgrad, x 0.97 after every epoch, no weight decay, no warm-up, no clipping.
# Official: lr 0.0007, lr_decay 0.97 (the paper: 3 % per epoch), epochs 1 to 79 in run.py and the README of P-STMO. An
# official epoch shows every window and its mirror image; here the data are gone through twice, mirrored at random.
max_epochs = 158
train_cfg = dict(type='ResumableEpochLoop', max_epochs=max_epochs, val_interval=2)
optim_wrapper = dict(
    constructor='MotionOptimConstructor',
    optimizer=dict(type='Adam', lr=7e-4, amsgrad=True),
)
# 0.97 in two epochs.
param_scheduler = [dict(type='ExponentialLR', gamma=0.97**0.5, by_epoch=True)]
