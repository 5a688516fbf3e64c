# VideoPose3D's network with an output for every frame, under MMPose's own head and loss.
_base_ = './dstformer-base-mmhead_scratch_243f_1xb32-120e_h36m-mmpose_gt.py'
model = dict(
    backbone=dict(backbone=dict(_delete_=True, type='TemporalConvNet')),
    head=dict(in_channels=64))
