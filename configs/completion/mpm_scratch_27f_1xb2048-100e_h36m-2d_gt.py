# MPM lifts 2D poses with hidden joints; mpm_scratch_..._h36m-2d-GROUP_gt.py test it group by group.
# Official: README of MPM, --lr 0.0002 -lrd 0.97
_base_ = ['../_base_/models/mpm_complete.py', '../_base_/datasets/h36m-complete-2d_27f.py',
          '../_base_/schedules/adam_exp97.py', '../_base_/default_runtime.py']
model = dict(predicts=['pose_3d'])
max_epochs = 100
train_cfg = dict(max_epochs=max_epochs)
optim_wrapper = dict(optimizer=dict(lr=2e-4))
