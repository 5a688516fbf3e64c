# Human3.6M as P-STMO reads it: CPN detections, a window around every frame, root-relative targets.
# python tools/dataset_converters/h36m.py videopose3d data_3d_h36m.npz data_2d_h36m_cpn_ft_h36m_dbb.npz \
#     data_2d_h36m_gt.npz data/h36m-cpn
# Official: run.py --keypoints cpn_ft_h36m_dbb --frames 243 --t_downsample (every second frame) --batch_size 160
collate_fn = dict(type='motionbert_mm.collate_batch')
window = dict(kind='centre', num_frames=243, dilation=2)

train_dataloader = dict(
    batch_size=160,
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='ResumableSampler', shuffle=True),
    collate_fn=collate_fn,
    dataset=dict(
        type='MotionDataset',
        data_root='data/h36m-cpn/train',
        window=window,
        input_2d='detected',
        pipeline=[
            dict(type='RandomFlip'),
            dict(type='NormalizeCoords', target='root_relative'),
            dict(type='PackInputs', fields=['target_3d']),
        ]),
)
val_dataloader = dict(
    batch_size=160,
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=collate_fn,
    dataset=dict(
        type='MotionDataset',
        data_root='data/h36m-cpn/test',
        window=window,
        input_2d='detected',
        test_mode=True,
        pipeline=[
            dict(type='NormalizeCoords', target='root_relative'),
            # Table 8 switches these on; as they stand, nothing changes.
            dict(type='AddGaussianNoise', std=0.0),
            dict(type='ShuffleFrames', prob=0.0),
            dict(type='PackInputs', fields=['keypoints_3d', 'keypoints_2d', 'confidence']),
        ]),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='Pose3DMetric', protocol='videopose3d')
test_evaluator = val_evaluator
