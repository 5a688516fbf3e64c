# MotionBERT-Lite, 16,001,549 parameters. Official: configs/pose3d/MB_ft_h36m_global_lite.yaml
_base_ = './dstformer_base.py'
model = dict(backbone=dict(dim=256, mlp_ratio=4.0))
