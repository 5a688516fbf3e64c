# Stage I of P-STMO, four layers. Official: --layers 4 -tmr 0.6 -smn 3
_base_ = ['../_base_/models/pstmo_mask.py', '../_base_/datasets/pretrain_h36m_cpn_243f.py',
          '../_base_/schedules/adam_exp97.py', '../_base_/default_runtime.py']
changes = dict(SampleExactMask=dict(frame_ratio=0.6, num_joints=3))
train_dataloader = dict(dataset=dict(pipeline_changes=changes))
val_dataloader = dict(dataset=dict(pipeline_changes=changes))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=1e-4))
default_hooks = dict(checkpoint=dict(save_best='MPJPE-2D'))
