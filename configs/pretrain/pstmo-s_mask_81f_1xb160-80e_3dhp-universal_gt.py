# Stage I of P-STMO-S on MPI-INF-3DHP. Official: run_3dhp.py -f 81 --MAE --layers 3 -tmr 0.7 -smn 2 --lr 0.0001
_base_ = ['../_base_/models/pstmo-s_mask.py', '../_base_/datasets/pretrain_mpi-inf-3dhp_81f.py',
          '../_base_/schedules/adam_exp97.py', '../_base_/default_runtime.py']
model = dict(skeleton='mpi_inf_3dhp17', backbone=dict(max_frames=81), neck=dict(max_frames=81))
optim_wrapper = dict(optimizer=dict(lr=1e-4))
default_hooks = dict(checkpoint=dict(save_best='MPJPE-2D'))
