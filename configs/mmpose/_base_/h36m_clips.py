# Clips of 243 frames, a target for every frame: image-space poses, root-relative.
# As MMPose's configs/body_3d_keypoint/motionbert/h36m/motionbert_dstformer-ft-243frm_8xb32-120e_h36m.py
data_root = 'data/h36m/'
meta_keys = ('id', 'category_id', 'target_img_path', 'flip_indices', 'factor', 'camera_param')
train_codec = dict(type='MotionBERTLabel', num_keypoints=17, concat_vis=True, mode='train')
val_codec = dict(type='MotionBERTLabel', num_keypoints=17, concat_vis=True, rootrel=True)
train_dataloader = dict(
    batch_size=32, num_workers=2, persistent_workers=True, pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='Human36mDataset', data_root=data_root, data_prefix=dict(img='images/'),
        ann_file='annotation_body3d/fps50/h36m_train.npz', camera_param_file='annotation_body3d/cameras.pkl',
        seq_len=1, multiple_target=243, multiple_target_step=81,
        pipeline=[
            dict(type='GenerateTarget', encoder=train_codec),
            dict(type='RandomFlipAroundRoot', flip_label=True,
                 keypoints_flip_cfg=dict(center_mode='static', center_x=0.0),
                 target_flip_cfg=dict(center_mode='static', center_x=0.0)),
            dict(type='PackPoseInputs', meta_keys=meta_keys)]))
val_dataloader = dict(
    batch_size=32, num_workers=2, persistent_workers=True, pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        type='Human36mDataset', data_root=data_root, data_prefix=dict(img='images/'), test_mode=True,
        ann_file='annotation_body3d/fps50/h36m_test.npz', camera_param_file='annotation_body3d/cameras.pkl',
        seq_len=1, multiple_target=243,
        pipeline=[dict(type='GenerateTarget', encoder=val_codec), dict(type='PackPoseInputs', meta_keys=meta_keys)]))
test_dataloader = val_dataloader
