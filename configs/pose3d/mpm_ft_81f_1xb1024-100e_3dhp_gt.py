# MPI-INF-3DHP on the 16 joints of MPM: 29.8 mm, PCK 98.6, AUC 79.3 published (table 2).
_base_ = ['../_base_/models/mpm.py', '../_base_/datasets/mpi-inf-3dhp16_81f.py',
          '../_base_/schedules/adam_exp98.py', '../_base_/default_runtime.py']
model = dict(backbone=dict(max_frames=81), neck=dict(num_frames=81))
load_from = 'work_dirs/mpm_mask_81f_1xb1024-100e_h36m_gt/epoch_100.pth'
default_hooks = dict(decoder_transfer=dict(type='DecoderTransferHook'))
