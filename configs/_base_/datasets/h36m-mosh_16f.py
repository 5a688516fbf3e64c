# Human3.6M with the SMPL parameters of MoSh, detections of stacked hourglass.
#   python tools/dataset_converters/motionbert_mesh.py h36m mesh_det_h36m.pkl data/mesh/h36m
# Official: configs/mesh/MB_*_h36m.yaml (clip_len 16, data_stride 8, batch_size 128, flip), lib/data/dataset_mesh.py.
collate_fn = dict(type='motionbert_mm.collate_batch')

train_dataloader = dict(
    batch_size=128,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='ResumableSampler', shuffle=True),
    collate_fn=collate_fn,
    dataset=dict(
        type='MotionDataset',
        data_root='data/mesh/h36m/train',
        window=dict(kind='official', num_frames=16, stride=8),
        input_2d='detected',
        targets=['smpl_pose', 'smpl_betas'],
        pipeline=[
            dict(type='RandomFlip'),
            dict(type='NormalizeCoords', target=None),
            dict(type='PackInputs', fields=['smpl_pose', 'smpl_betas']),
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
        data_root='data/mesh/h36m/test',
        window=dict(kind='official', num_frames=16, stride=16),
        input_2d='detected',
        targets=['smpl_pose', 'smpl_betas'],
        test_mode=True,
        pipeline=[
            dict(type='NormalizeCoords', target=None),
            dict(type='PackInputs', fields=['smpl_pose', 'smpl_betas', 'keypoints_2d', 'confidence']),
        ]),
)
test_dataloader = val_dataloader
