# MPM, stage I, on Human3.6M alone: a 2D-3D space that stage II and completion start from.
_base_ = ['../_base_/models/mpm_mask.py', '../_base_/datasets/pretrain_mpm-h36m_243f.py',
          '../_base_/schedules/adam_exp98.py', '../_base_/default_runtime.py']
optim_wrapper = dict(optimizer=dict(lr=1e-3))
