# P-STMO's encoder, its token of a frame split into tokens of the joints, under MMPose's own head and loss.
_base_ = './dstformer-base-mmhead_scratch_243f_1xb32-120e_h36m-mmpose_gt.py'
model = dict(
    backbone=dict(
        backbone=dict(_delete_=True, type='PSTMOEncoder', max_frames=243, dim=256, depth=3),
        neck=dict(type='FrameToJoints', out_channels=64)),
    head=dict(in_channels=64))
