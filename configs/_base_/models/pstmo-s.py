# P-STMO-S, stage II: 6,482,278 parameters. Official: run.py --layers 3 --frames 243 --channel 256 --d_hid 512
model = dict(
    type='MotionModel',
    skeleton='h36m',
    flip_test=True,
    backbone=dict(type='PSTMOEncoder', max_frames=243, dim=256, depth=3),
    neck=dict(type='StridedReduction', num_frames=243),
    heads=dict(
        frames=dict(type='FramePoseHead', source='frames', losses=[dict(type='MPJPELoss', weight=1.0)]),
        centre=dict(type='FramePoseHead', source='centre', centre=True, losses=[dict(type='MPJPELoss', weight=1.0)]),
    ),
    # The head of all frames only trains.
    predicts=['centre'],
)
