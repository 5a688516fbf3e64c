# DSTformer of this package under MMPose's own head and loss.
_base_ = ['./_base_/h36m_clips.py', './_base_/adamw_120e.py', './_base_/default_runtime.py']
decoder = dict(type='MotionBERTLabel', num_keypoints=17, concat_vis=True, rootrel=True)
model = dict(
    type='PoseLifter',
    backbone=dict(
        type='motionbert_mm.PoseLifterBackbone',
        backbone=dict(type='DSTformer', max_frames=243, dim=512, depth=5, num_heads=8, mlp_ratio=2.0)),
    head=dict(type='MotionRegressionHead', in_channels=512, out_channels=3, embedding_size=512,
              loss=dict(type='MPJPEVelocityJointLoss'), decoder=decoder),
    test_cfg=dict(flip_test=True))
