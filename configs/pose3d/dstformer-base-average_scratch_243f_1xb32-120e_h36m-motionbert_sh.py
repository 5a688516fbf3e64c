# Streams averaged (MotionBERT, table 7e: 39.87 mm; 7f, learned, is the config it inherits: 39.25 mm).
_base_ = './dstformer-base_scratch_243f_1xb32-120e_h36m-motionbert_sh.py'
model = dict(backbone=dict(use_fusion=False))
