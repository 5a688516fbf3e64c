# Alignment with texts; single joints and frames, regions of the body or stretches of time hidden.
_base_ = ['../_base_/models/actionpose_tiny.py', '../_base_/datasets/synthetic-text_27f.py',
          '../_base_/schedules/adamw_text.py', '../_base_/text_runtime.py']
max_epochs = 20
train_cfg = dict(max_epochs=max_epochs, val_interval=5)
optim_wrapper = dict(optimizer=dict(lr=1e-3), paramwise_cfg=dict(lr_mults={'heads.text.text_encoder': 1.0}))
param_scheduler = [dict(type='OneCycleLR', eta_max=1e-3, total_steps=max_epochs, pct_start=0.1, by_epoch=True,
                        convert_to_iter_based=True)]
load_from = 'work_dirs/dstformer-tiny_lift-noise-mask_27f_1xb32-12e_synthetic_exact/epoch_12.pth'
