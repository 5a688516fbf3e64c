_base_ = './pstmo-tiny_scratch_27f_1xb64-120e_cmu-tenth_det.py'
load_from = 'work_dirs/pstmo-tiny_mask_27f_1xb64-20e_cmu-heldout_det/epoch_20.pth'
