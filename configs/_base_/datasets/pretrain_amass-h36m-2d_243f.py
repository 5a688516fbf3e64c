# As pretrain_amass-h36m_243f, joined by 2D motion: PoseTrack18 (annotated) and InstaVariety (detected).
#   python tools/dataset_converters/posetrack18.py posetrack18/annotations/train data/posetrack18
#   python tools/dataset_converters/instavariety.py InstaVariety_tracks data/instavariety
# Official: lib/data/dataset_motion_2d.py; noise on the annotated source only, masks on both.
_base_ = './pretrain_amass-h36m_243f.py'

train_dataloader = dict(
    # Official: one source after the other. order='proportional' shuffles the batches of all.
    batch_sampler=dict(order=['posetrack', 'instavariety', ['amass', 'h36m']]),
    dataset=dict(datasets=dict(
        posetrack=dict(
            type='MotionDataset',
            data_root='data/posetrack18',
            window=dict(num_frames=30, stride=30, tail='drop'),
            targets=[],
            pipeline=[
                dict(type='RandomFlip'),
                # Differs from official: its ratios 0.25..1 clip joints off, likely the inverse of what was
                # meant; crop_range=(0.25, 1.0) is as there.
                dict(type='NormalizeCoords', inputs='crop_scale', crop_range=(1.0, 4.0), target=None),
                dict(type='ConvertSkeleton', target='h36m'),
                dict(type='ZeroMissing'),
                dict(type='ReprojectionTarget'),
                dict(type='AddMixtureNoise'),
                dict(type='SampleMask', joint_ratio=0.05, frame_ratio=0.1),
                dict(type='PackInputs', fields=['target_2d', 'weight_2d']),
            ]),
        instavariety=dict(
            type='MotionDataset',
            data_root='data/instavariety',
            window=dict(num_frames=81, stride=27, tail='drop'),
            targets=[],
            pipeline=[
                dict(type='RandomFlip'),
                dict(type='NormalizeCoords', inputs='crop_scale', crop_range=(1.0, 4.0), target=None),
                dict(type='ZeroMissing'),
                dict(type='ReprojectionTarget'),
                dict(type='SampleMask', joint_ratio=0.05, frame_ratio=0.1),
                dict(type='PackInputs', fields=['target_2d', 'weight_2d']),
            ]))),
)
