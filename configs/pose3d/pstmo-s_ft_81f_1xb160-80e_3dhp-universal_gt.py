# MPI-INF-3DHP: 32.2 mm, PCK 97.9, AUC 75.8 (table 2).
_base_ = './pstmo-s_scratch_81f_1xb160-80e_3dhp-universal_gt.py'
load_from = 'work_dirs/pstmo-s_mask_81f_1xb160-80e_3dhp-universal_gt/epoch_158.pth'
