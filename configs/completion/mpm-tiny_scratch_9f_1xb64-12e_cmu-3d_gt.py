# Completion on motion capture with the network of stage I; mpm-tiny_ft_... starts from it.
_base_ = ['../_base_/models/mpm_tiny_mask.py', '../_base_/datasets/cmu16-complete-3d_9f.py',
          '../_base_/schedules/adamw_onecycle.py', '../_base_/default_runtime.py']
model = dict(predicts=['pose_3d'], flip_test=False)
max_epochs = 12
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
param_scheduler = [dict(type='OneCycleLR', eta_max=1e-3, total_steps=max_epochs, pct_start=0.1, by_epoch=True,
                        convert_to_iter_based=True)]
float32_matmul_precision = 'medium'
