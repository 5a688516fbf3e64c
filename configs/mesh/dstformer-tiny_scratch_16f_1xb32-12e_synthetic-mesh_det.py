_base_ = ['../_base_/models/dstformer_tiny_mesh.py', '../_base_/datasets/synthetic-mesh_16f.py',
          '../_base_/schedules/adamw_onecycle.py', '../_base_/mesh_runtime.py']
max_epochs = 12
peak_lr = 2e-3
train_cfg = dict(max_epochs=max_epochs, val_interval=4)
optim_wrapper = dict(optimizer=dict(lr=peak_lr))
param_scheduler = [dict(type='OneCycleLR', eta_max=peak_lr, total_steps=max_epochs, pct_start=0.1, by_epoch=True,
                        convert_to_iter_based=True)]
