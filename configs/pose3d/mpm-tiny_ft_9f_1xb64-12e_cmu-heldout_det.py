_base_ = './mpm-tiny_scratch_9f_1xb64-12e_cmu-heldout_det.py'
load_from = 'work_dirs/mpm-tiny_mask_9f_1xb64-12e_cmu-heldout_det/epoch_12.pth'
default_hooks = dict(decoder_transfer=dict(type='DecoderTransferHook'))
