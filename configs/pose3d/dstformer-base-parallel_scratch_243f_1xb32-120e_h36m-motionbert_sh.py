# One stream over joints, one over frames (MotionBERT, table 7c: 41.76 mm).
_base_ = './dstformer-base_scratch_243f_1xb32-120e_h36m-motionbert_sh.py'
model = dict(backbone=dict(type='ParallelStreamTransformer'))
