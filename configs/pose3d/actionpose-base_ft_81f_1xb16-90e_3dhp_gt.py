# MPI-INF-3DHP, ground truth 2D: published 15.5 mm, PCK 98.9, AUC 87.0. Settings not published: those of MotionAGFormer.
_base_ = ['../_base_/models/dstformer_base.py', '../_base_/datasets/mpi-inf-3dhp-h36m_81f.py',
          '../_base_/schedules/adamw_exp.py', '../_base_/default_runtime.py']
model = dict(backbone=dict(type='ActionPoseEncoder'))
train_cfg = dict(max_epochs=90)
optim_wrapper = dict(optimizer=dict(lr=5e-4))
load_from = 'work_dirs/actionpose-base_align-regions-windows_243f_1xb16-300e_babel_exact/epoch_300.pth'
