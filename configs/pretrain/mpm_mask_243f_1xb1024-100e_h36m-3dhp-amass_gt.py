# MPM, stage I, at the large scale of table 5.
_base_ = ['../_base_/models/mpm_mask.py', '../_base_/datasets/pretrain_mpm-large_243f.py',
          '../_base_/schedules/adam_exp98.py', '../_base_/default_runtime.py']
optim_wrapper = dict(optimizer=dict(lr=1e-3))
