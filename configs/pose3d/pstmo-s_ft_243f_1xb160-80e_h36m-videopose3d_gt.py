# Ground-truth 2D: 29.3 mm (table 1).
_base_ = './pstmo-s_scratch_243f_1xb160-80e_h36m-videopose3d_gt.py'
load_from = 'work_dirs/pstmo-s_mask_243f_1xb160-80e_h36m-videopose3d_gt/epoch_158.pth'
