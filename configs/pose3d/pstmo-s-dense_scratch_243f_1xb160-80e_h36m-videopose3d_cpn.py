# The encoder of P-STMO under the dense head of MotionBERT: a pose for every frame, from tokens of joints.
_base_ = './pstmo-s_scratch_243f_1xb160-80e_h36m-videopose3d_cpn.py'
model = dict(
    neck=dict(_delete_=True, type='FrameToJoints', out_channels=64),
    heads=dict(_delete_=True, pose=dict(type='PoseLiftHead', losses=[
        dict(type='MPJPELoss'), dict(type='VelocityLoss', weight=20.0)])),
    predicts=None,
)
