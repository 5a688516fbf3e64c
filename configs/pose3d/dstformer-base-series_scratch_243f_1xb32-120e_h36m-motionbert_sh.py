# Attention over joints, then over frames, then one MLP (MotionBERT, table 7d: 41.54 mm).
_base_ = './dstformer-base_scratch_243f_1xb32-120e_h36m-motionbert_sh.py'
model = dict(backbone=dict(type='SeriesAttentionTransformer'))
