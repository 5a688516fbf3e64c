# The shared layers of MPM under the dense head of MotionBERT: a pose for every frame, from tokens of joints.
_base_ = './mpm_scratch_243f_1xb1024-100e_h36m_cpn.py'
model = dict(
    neck=dict(_delete_=True, type='FrameToJoints', num_joints=16, out_channels=64),
    heads=dict(_delete_=True, pose=dict(type='PoseLiftHead', losses=[
        dict(type='MPJPELoss'), dict(type='VelocityLoss', weight=20.0)])),
    predicts=None,
)
