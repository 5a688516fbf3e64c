# MPM, stage II: 42.3 mm published (table 1), of which the official evaluation is over 17 joints and refined.
_base_ = './mpm_scratch_243f_1xb1024-100e_h36m_cpn.py'
load_from = 'work_dirs/mpm_mask_243f_1xb1024-100e_h36m_gt/epoch_100.pth'
# The 3D decoder of stage I starts the strided transformer, as in the paper; the released code leaves it out.
default_hooks = dict(decoder_transfer=dict(type='DecoderTransferHook'))
