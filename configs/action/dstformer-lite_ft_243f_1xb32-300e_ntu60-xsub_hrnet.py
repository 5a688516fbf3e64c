# The released model of width 256: 92.8 % top-1.
_base_ = './dstformer-base_ft_243f_1xb32-300e_ntu60-xsub_hrnet.py'
model = dict(backbone=dict(dim=256, mlp_ratio=4.0))
load_from = 'work_dirs/dstformer-lite_lift-noise-mask-2d_243f_1xb64-90e_amass-h36m_exact/epoch_90.pth'
