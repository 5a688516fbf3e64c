# The same with MMPose's own DSTFormer.
_base_ = './dstformer-base-mmhead_scratch_243f_1xb32-120e_h36m-mmpose_gt.py'
model = dict(
    backbone=dict(_delete_=True, type='DSTFormer', in_channels=3, feat_size=512, depth=5, num_heads=8, mlp_ratio=2,
                  seq_len=243, att_fuse=True))
