# One stream, space before time (MotionBERT, table 7a: 40.58 mm).
_base_ = './dstformer-base_scratch_243f_1xb32-120e_h36m-motionbert_sh.py'
model = dict(backbone=dict(type='SpaceTimeTransformer'))
