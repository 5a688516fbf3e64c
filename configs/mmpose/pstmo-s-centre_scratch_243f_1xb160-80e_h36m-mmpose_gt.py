# P-STMO-S under MMPose's head of one frame, with the inputs (B, K C, T) of MMPose's TCN.
_base_ = ['./_base_/h36m_windows.py', './_base_/adam_80e.py', './_base_/default_runtime.py']
codec = dict(type='VideoPoseLifting', num_keypoints=17, zero_center=True, root_index=0)
meta_keys = ('id', 'category_id', 'target_img_path', 'flip_indices', 'target_root')
pipeline = [dict(type='GenerateTarget', encoder=codec), dict(type='PackPoseInputs', meta_keys=meta_keys)]
# All images are 1000 pixels wide.
flip = dict(type='RandomFlipAroundRoot', keypoints_flip_cfg=dict(center_mode='static', center_x=500.0),
            target_flip_cfg=dict(center_mode='root', center_index=0))
model = dict(
    type='PoseLifter',
    backbone=dict(
        type='motionbert_mm.CentreLifterBackbone',
        backbone=dict(type='PSTMOEncoder', max_frames=243, dim=256, depth=3),
        neck=dict(type='StridedReduction', num_frames=243)),
    head=dict(type='TemporalRegressionHead', in_channels=256, num_joints=17, loss=dict(type='MPJPELoss'),
              decoder=codec))
# As MMPose trains its TCN; a twentieth of the windows, which MMPose holds in memory.
train_dataloader = dict(dataset=dict(
    seq_len=243, causal=False, multiple_target=0, multiple_target_step=0, subset_frac=0.05, pipeline=[flip, *pipeline]))
val_dataloader = dict(dataset=dict(pipeline=pipeline))
test_dataloader = val_dataloader
