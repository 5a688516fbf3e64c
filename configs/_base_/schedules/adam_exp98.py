# Adam with amsgrad, x 0.98 after every epoch, no weight decay, no warm-up, no clipping.
# Published: MPM, 50 epochs; stage I 1e-3, stage II 7e-4. The released code: 0.97, stage I 1e-4, 49 epochs. An official
# epoch shows every window and its mirror image; here the data are gone through twice, mirrored at random.
max_epochs = 100
train_cfg = dict(type='ResumableEpochLoop', max_epochs=max_epochs, val_interval=2)
optim_wrapper = dict(
    constructor='MotionOptimConstructor',
    optimizer=dict(type='Adam', lr=7e-4, amsgrad=True),
)
# 0.98 in two epochs.
param_scheduler = [dict(type='ExponentialLR', gamma=0.98**0.5, by_epoch=True)]
