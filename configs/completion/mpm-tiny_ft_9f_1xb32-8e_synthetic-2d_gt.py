_base_ = ['../_base_/models/mpm_tiny_mask.py', '../_base_/datasets/synthetic16-complete_9f.py',
          '../_base_/schedules/adamw_onecycle.py', '../_base_/default_runtime.py']
max_epochs = 8
train_cfg = dict(max_epochs=max_epochs, val_interval=2)
param_scheduler = [dict(type='OneCycleLR', eta_max=2e-3, total_steps=max_epochs, pct_start=0.1, by_epoch=True,
                        convert_to_iter_based=True)]
model = dict(predicts=['pose_3d'])
load_from = 'work_dirs/mpm-tiny_mask_9f_1xb32-8e_synthetic_det/epoch_8.pth'
