# Table 5, last row, the released model. Official: configs/pretrain/MB_pretrain.yaml (90 epochs, learning_rate 0.0005,
# pretrain_3d_curriculum 30).
_base_ = ['../_base_/models/dstformer_base.py', '../_base_/datasets/pretrain_amass-h36m-2d_243f.py',
          '../_base_/schedules/adamw_exp.py', '../_base_/default_runtime.py']
train_cfg = dict(max_epochs=90)
optim_wrapper = dict(optimizer=dict(lr=5e-4))
model = dict(heads=dict(pose=dict(losses_2d=[dict(type='Weighted2DLoss')])))
default_hooks = dict(curriculum=dict(type='CurriculumHook', first_epochs=dict(posetrack=30, instavariety=30)))
