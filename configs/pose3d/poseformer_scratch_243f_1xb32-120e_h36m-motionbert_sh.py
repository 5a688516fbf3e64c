# PoseFormer with an output for every frame (MotionBERT, table 6: 44.8 mm).
_base_ = './dstformer-base_scratch_243f_1xb32-120e_h36m-motionbert_sh.py'
model = dict(backbone=dict(_delete_=True, type='PoseFormer'))
