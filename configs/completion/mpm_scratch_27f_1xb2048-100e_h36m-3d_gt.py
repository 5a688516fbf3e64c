# MPM restores 3D poses with hidden joints. Published: MPJPE/completed, the seen joints taken from the truth.
_base_ = ['../_base_/models/mpm_complete.py', '../_base_/datasets/h36m-complete-3d_27f.py',
          '../_base_/schedules/adam_exp97.py', '../_base_/default_runtime.py']
model = dict(predicts=['pose_3d'], flip_test=False)
max_epochs = 100
train_cfg = dict(max_epochs=max_epochs)
optim_wrapper = dict(optimizer=dict(lr=2e-4))
