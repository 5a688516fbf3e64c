# Table 5, row + mask: 3D sources alone.
_base_ = ['../_base_/models/dstformer_base.py', '../_base_/datasets/pretrain_amass-h36m_243f.py',
          '../_base_/schedules/adamw_exp.py', '../_base_/default_runtime.py']
train_cfg = dict(max_epochs=90)
optim_wrapper = dict(optimizer=dict(lr=5e-4))
