# MPM, stage II, ground-truth 2D: 27.2 mm published (table 1); see mpm_ft_..._cpn.py.
_base_ = './mpm_scratch_243f_1xb1024-100e_h36m_gt.py'
load_from = 'work_dirs/mpm_mask_243f_1xb1024-100e_h36m_gt/epoch_100.pth'
default_hooks = dict(decoder_transfer=dict(type='DecoderTransferHook'))
