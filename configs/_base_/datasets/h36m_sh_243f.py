# Human3.6M as MotionBERT reads it: stacked-hourglass detections, image-space targets, clips of 243 frames.
# python tools/dataset_converters/h36m.py motionbert h36m_sh_conf_cam_source_final.pkl data/h36m
# Official: configs/pose3d/*.yaml (clip_len 243, data_stride 81, batch_size 32, flip), tools/convert_h36m.py (test
# stride 243), lib/data/dataset_motion_3d.py.
collate_fn = dict(type='motionbert_mm.collate_batch')

train_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='ResumableSampler', shuffle=True),
    collate_fn=collate_fn,
    dataset=dict(
        type='MotionDataset',
        data_root='data/h36m/train',
        window=dict(kind='official', num_frames=243, stride=81),
        input_2d='detected',
        targets=['keypoints_image'],
        pipeline=[
            dict(type='RandomFlip'),
            dict(type='NormalizeCoords', target='image_space'),
            dict(type='PackInputs', fields=['target_3d']),
        ]),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=collate_fn,
    dataset=dict(
        type='MotionDataset',
        data_root='data/h36m/test',
        window=dict(kind='official', num_frames=243, stride=243),
        input_2d='detected',
        targets=['keypoints_3d', 'keypoints_image', 'image_factor'],
        test_mode=True,
        pipeline=[
            dict(type='NormalizeCoords', target='image_space'),
            dict(type='PackInputs', fields=['keypoints_3d', 'keypoints_2d', 'confidence']),
        ]),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='Pose3DMetric', protocol='motionbert')
test_evaluator = val_evaluator
