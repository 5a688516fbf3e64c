_base_ = ['../_base_/models/dstformer_tiny.py', '../_base_/datasets/pretrain_synthetic-lift_27f.py',
          '../_base_/schedules/adamw_onecycle.py', '../_base_/default_runtime.py']
model = dict(backbone=dict(max_frames=27))
max_epochs = 12
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
optim_wrapper = dict(type='BFloat16OptimWrapper')
param_scheduler = [dict(type='OneCycleLR', eta_max=2e-3, total_steps=max_epochs, pct_start=0.1, by_epoch=True,
                        convert_to_iter_based=True)]
float32_matmul_precision = 'medium'
