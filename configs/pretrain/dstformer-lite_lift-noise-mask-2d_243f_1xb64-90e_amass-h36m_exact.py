# Official: configs/pretrain/MB_lite.yaml.
_base_ = './dstformer-base_lift-noise-mask-2d_243f_1xb64-90e_amass-h36m_exact.py'
model = dict(backbone=dict(dim=256, mlp_ratio=4.0))
