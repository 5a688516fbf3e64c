# Windows of 243 frames: targets in metres, relative to the root, of all frames in training and of the centre in tests.
# As MMPose's configs/body_3d_keypoint/video_pose_lift/h36m/video-pose-lift_tcn-243frm-supv_8xb128-160e_h36m.py, with
# targets of all frames, which P-STMO and MPM train on.
data_root = 'data/h36m/'
meta_keys = ('id', 'category_id', 'target_img_path', 'flip_indices', 'camera_param', 'target_root')
codec = dict(type='VideoPoseLifting', num_keypoints=17, zero_center=True, root_index=0, concat_vis=True,
             reshape_keypoints=False)
train_dataloader = dict(
    batch_size=160, num_workers=2, persistent_workers=True, pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='Human36mDataset', data_root=data_root, data_prefix=dict(img='images/'),
        ann_file='annotation_body3d/fps50/h36m_train.npz', camera_param_file='annotation_body3d/cameras.pkl',
        # Official: every frame is the centre of a window. MMPose holds every window in memory, about 0.1 MB each.
        seq_len=1, multiple_target=243, multiple_target_step=27,
        pipeline=[
            dict(type='GenerateTarget', encoder=codec),
            dict(type='RandomFlipAroundRoot', flip_label=True,
                 keypoints_flip_cfg=dict(center_mode='static', center_x=0.0),
                 target_flip_cfg=dict(center_mode='static', center_x=0.0)),
            dict(type='PackPoseInputs', meta_keys=meta_keys)]))
val_dataloader = dict(
    batch_size=160, num_workers=2, persistent_workers=True, pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        type='Human36mDataset', data_root=data_root, data_prefix=dict(img='images/'), test_mode=True,
        ann_file='annotation_body3d/fps50/h36m_test.npz', camera_param_file='annotation_body3d/cameras.pkl',
        # A twentieth of the test set, 3 GB, for the same reason; the whole needs 65 GB, or tools/test.py.
        seq_len=243, causal=False, pad_video_seq=True, subset_frac=0.05,
        pipeline=[dict(type='GenerateTarget', encoder=codec), dict(type='PackPoseInputs', meta_keys=meta_keys)]))
test_dataloader = val_dataloader
