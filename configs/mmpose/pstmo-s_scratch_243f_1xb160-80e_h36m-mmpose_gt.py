# P-STMO-S, stage II: the head of all frames only trains, the centre is predicted.
_base_ = ['./_base_/h36m_windows.py', './_base_/adam_80e.py', './_base_/default_runtime.py']
model = dict(
    type='PoseLifter',
    backbone=dict(
        type='motionbert_mm.PoseLifterBackbone', joint_tokens=False,
        # Pretrained by masked pose modelling: init_cfg=dict(type='Pretrained', checkpoint=PATH, prefix='backbone.')
        backbone=dict(type='PSTMOEncoder', max_frames=243, dim=256, depth=3),
        neck=dict(type='StridedReduction', num_frames=243)),
    head=dict(
        type='motionbert_mm.LiftHeadForMMPose', target='root_relative', predicts='centre',
        heads=dict(
            frames=dict(type='FramePoseHead', in_channels=256, source='frames', losses=[dict(type='MPJPELoss')]),
            centre=dict(type='FramePoseHead', in_channels=256, source='centre', centre=True,
                        losses=[dict(type='MPJPELoss')]))),
    test_cfg=dict(flip_test=True))
