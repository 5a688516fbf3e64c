_base_ = ['../_base_/models/dstformer_tiny_action.py', '../_base_/datasets/cmu-actions_27f.py',
          '../_base_/schedules/adamw_onecycle.py', '../_base_/action_runtime.py']
max_epochs = 6
peak_lr = 1e-3
train_cfg = dict(max_epochs=max_epochs, val_interval=1)
optim_wrapper = dict(type='BFloat16OptimWrapper', optimizer=dict(lr=peak_lr))
param_scheduler = [dict(type='OneCycleLR', eta_max=peak_lr, total_steps=max_epochs, pct_start=0.1, by_epoch=True,
                        convert_to_iter_based=True)]
float32_matmul_precision = 'medium'
