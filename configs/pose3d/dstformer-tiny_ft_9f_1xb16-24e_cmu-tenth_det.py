_base_ = './dstformer-tiny_scratch_9f_1xb16-24e_cmu-tenth_det.py'
load_from = 'work_dirs/dstformer-tiny_lift-noise-mask_9f_1xb16-15e_cmu-heldout_exact/epoch_15.pth'
