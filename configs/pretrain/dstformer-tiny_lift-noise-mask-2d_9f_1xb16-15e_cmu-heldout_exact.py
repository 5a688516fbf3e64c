_base_ = ['../_base_/models/dstformer_tiny.py', '../_base_/datasets/pretrain_cmu-2d_9f.py',
          '../_base_/schedules/adamw_onecycle.py', '../_base_/default_runtime.py']
# 3D alone in the first third of the epochs, as officially (30 of 90).
default_hooks = dict(curriculum=dict(type='CurriculumHook', first_epochs=dict(video=5)))
model = dict(heads=dict(pose=dict(losses_2d=[dict(type='Weighted2DLoss')])))
max_epochs = 15
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
param_scheduler = [dict(type='OneCycleLR', eta_max=2e-3, total_steps=max_epochs, pct_start=0.1, by_epoch=True,
                        convert_to_iter_based=False)]
float32_matmul_precision = 'medium'
