_base_ = './mpm-tiny_scratch_27f_1xb64-160e_cmu-twentieth_det.py'
load_from = 'work_dirs/mpm-tiny_mask_27f_1xb64-6e_cmu-heldout_det/epoch_6.pth'
default_hooks = dict(decoder_transfer=dict(type='DecoderTransferHook'))
