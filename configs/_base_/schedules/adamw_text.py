# Published: AdamW, learning rate 5e-4, 300 epochs. The decay is MotionBERT's; BERT's layers get a tenth.
train_cfg = dict(type='ResumableEpochLoop', max_epochs=300, val_interval=10)
optim_wrapper = dict(
    constructor='MotionOptimConstructor',
    optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.01),
    paramwise_cfg=dict(lr_mults={'heads.text.text_encoder': 0.1}),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = [dict(type='ExponentialLR', gamma=0.99, by_epoch=True)]
