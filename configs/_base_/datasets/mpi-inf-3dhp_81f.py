# MPI-INF-3DHP for models of the centre frame: 2D annotations in, a window of 81 frames around every frame.
# python tools/dataset_converters/mpi_inf_3dhp.py npz data_train_3dhp.npz data_test_3dhp.npz data/mpi_inf_3dhp
# Official: run_3dhp.py and common/load_data_3dhp_mae.py of P-STMO: 81 frames without temporal downsampling, batches of
# 160, univ_annot3 of S1 to S8 in 8 cameras; of TS1 to TS6 the 2,929 valid frames, whose neighbours may be invalid.
# Differs from official: an epoch meets each window once and mirrors half of them, not every window both ways (2,105,472
# samples); targets are metres, not millimetres: NormalizeCoords(unit_mm=1.0) makes those of official checkpoints.
collate_fn = dict(type='motionbert_mm.collate_batch')
window = dict(kind='centre', num_frames=81)

train_dataloader = dict(
    batch_size=160,
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='ResumableSampler', shuffle=True),
    collate_fn=collate_fn,
    dataset=dict(
        type='MotionDataset',
        data_root='data/mpi_inf_3dhp/train',
        window=window,
        input_2d='exact',
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
        data_root='data/mpi_inf_3dhp/test',
        window=window,
        valid_only=True,
        input_2d='exact',
        test_mode=True,
        pipeline=[
            dict(type='NormalizeCoords', target='root_relative'),
            dict(type='PackInputs', fields=['keypoints_3d', 'keypoints_2d', 'confidence']),
        ]),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='Pose3DMetric', protocol='mpi_inf_3dhp')
test_evaluator = val_evaluator
