# One stream, time before space (MotionBERT, table 7b: 41.05 mm).
_base_ = './dstformer-base_scratch_243f_1xb32-120e_h36m-motionbert_sh.py'
model = dict(backbone=dict(type='TimeSpaceTransformer'))
