# Official: configs/pose3d/MB_train_h36m.yaml of the first release (width 256, learning_rate 0.0005): 39.1 mm.
_base_ = ['../_base_/models/dstformer_lite.py', '../_base_/datasets/h36m_sh_243f.py',
          '../_base_/schedules/adamw_exp.py', '../_base_/default_runtime.py']
train_cfg = dict(max_epochs=120)
optim_wrapper = dict(optimizer=dict(lr=5e-4))
