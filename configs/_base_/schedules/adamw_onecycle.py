# Rise to the peak learning rate in the first tenth, then cosine to zero; per iteration.
max_epochs = 20
peak_lr = 2e-3

train_cfg = dict(type='ResumableEpochLoop', max_epochs=max_epochs, val_interval=5)
optim_wrapper = dict(
    constructor='MotionOptimConstructor',
    optimizer=dict(type='AdamW', lr=peak_lr, weight_decay=0.01),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = [
    dict(type='OneCycleLR', eta_max=peak_lr, total_steps=max_epochs, pct_start=0.1, by_epoch=True,
         convert_to_iter_based=True),
]
