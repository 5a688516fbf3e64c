_base_ = './mpm-tiny_scratch_27f_1xb64-10e_cmu-2d_gt.py'
load_from = 'work_dirs/mpm-tiny_mask_27f_1xb64-6e_cmu-heldout_det/epoch_6.pth'
