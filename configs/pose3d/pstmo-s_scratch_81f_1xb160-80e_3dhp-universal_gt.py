# P-STMO-S on MPI-INF-3DHP without stage I. Official: run_3dhp.py -f 81 --layers 3 --lr 0.0007
_base_ = ['../_base_/models/pstmo-s.py', '../_base_/datasets/mpi-inf-3dhp_81f.py',
          '../_base_/schedules/adam_exp97.py', '../_base_/default_runtime.py']
model = dict(skeleton='mpi_inf_3dhp17', backbone=dict(max_frames=81), neck=dict(num_frames=81))
