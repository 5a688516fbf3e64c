# BABEL's labels on motions of AMASS at 30 fps, seen from the front and the side.
#   python tools/dataset_converters/amass.py AMASS data/amass-30fps --fps 30 --smplh SMPLH --regressor REGRESSOR.npy
#   python tools/dataset_converters/babel.py babel_v1.0_release data/amass-30fps data/babel
# Published: 243 frames, batches of 16, 16 wrong texts, masks 0.5 / 0.25 / 0.25, noise.
collate_fn = dict(type='motionbert_mm.collate_batch')

train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='ResumableSampler', shuffle=True),
    collate_fn=collate_fn,
    dataset=dict(
        type='TextMotionDataset',
        data_root='data/babel',
        split='train',
        window=dict(kind='crop', num_frames=243, jitter=True),
        negatives=dict(number=16),
        input_2d=None,
        pipeline=[
            dict(type='OrthographicView', facing=True, views=['front', 'side']),
            dict(type='RandomFlip'),
            dict(type='NormalizeCoords', target='image_space'),
            dict(type='AddMixtureNoise'),
            dict(type='SampleMotionMask'),
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
        type='TextMotionDataset',
        data_root='data/babel',
        split='val',
        window=dict(kind='crop', num_frames=243),
        input_2d=None,
        test_mode=True,
        pipeline=[
            dict(type='OrthographicView', facing=True),
            dict(type='NormalizeCoords', target='image_space'),
            dict(type='PackInputs', fields=['keypoints_3d', 'keypoints_2d', 'confidence']),
        ]),
)
test_dataloader = val_dataloader
