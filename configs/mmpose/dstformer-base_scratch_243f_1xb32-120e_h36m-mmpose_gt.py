# MotionBERT of this package, with its losses, in MMPose's PoseLifter on MMPose's data.
_base_ = ['./_base_/h36m_clips.py', './_base_/adamw_120e.py', './_base_/default_runtime.py']
model = dict(
    type='PoseLifter',
    backbone=dict(
        type='motionbert_mm.PoseLifterBackbone',
        backbone=dict(type='DSTformer', max_frames=243, dim=512, depth=5, num_heads=8, mlp_ratio=2.0),
        neck=dict(type='RepresentationLayer', out_channels=512)),
    head=dict(
        type='motionbert_mm.LiftHeadForMMPose',
        heads=dict(pose=dict(type='PoseLiftHead', in_channels=512, losses=[
            dict(type='MPJPELoss', weight=1.0),
            dict(type='NMPJPELoss', weight=0.5),
            dict(type='VelocityLoss', weight=20.0)]))),
    test_cfg=dict(flip_test=True))
