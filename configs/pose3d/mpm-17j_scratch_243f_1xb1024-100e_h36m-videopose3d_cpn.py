# MPM on 17 joints, as the official README evaluates Human3.6M; measured like P-STMO.
_base_ = ['../_base_/models/mpm.py', '../_base_/datasets/h36m_cpn_243f.py',
          '../_base_/schedules/adam_exp98.py', '../_base_/default_runtime.py']
model = dict(skeleton='h36m', backbone=dict(num_joints=17),
             heads=dict(frames=dict(num_joints=17), centre=dict(num_joints=17)))
train_dataloader = dict(batch_size=1024)
