# The 3D sources of MotionBERT's pretraining; detections of Human3.6M are for the test only.
#   python tools/dataset_converters/h36m.py motionbert h36m_sh_conf_cam_source_final.pkl data/h36m
#   python tools/dataset_converters/amass.py AMASS data/amass --fps 60 --smplh SMPLH --regressor J_regressor_h36m.npy
# Official: configs/pretrain/MB_pretrain.yaml (clip_len 243, data_stride 81, batch_size 64, flip, noise, mask_ratio
# 0.05, mask_T_ratio 0.1), tools/convert_amass.py (60 fps, one fixed orthographic view).
_base_ = './h36m_sh_243f.py'

train_dataloader = dict(
    _delete_=True,
    batch_size=64,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='ResumableSampler', shuffle=True),
    batch_sampler=dict(type='SourceBatchSampler', order='proportional'),
    collate_fn=dict(type='motionbert_mm.collate_batch'),
    dataset=dict(
        type='MixedDataset',
        datasets=dict(
            amass=dict(
                type='MotionDataset',
                data_root='data/amass',
                window=dict(num_frames=243, stride=81),
                input_2d=None,
                pipeline=[
                    dict(type='OrthographicView'),
                    dict(type='RandomFlip'),
                    dict(type='NormalizeCoords', target='image_space'),
                    dict(type='AddMixtureNoise'),
                    # Differs from official: each sample has frames of its own; share_frames=True is as there.
                    dict(type='SampleMask', joint_ratio=0.05, frame_ratio=0.1),
                    dict(type='PackInputs', fields=['target_3d']),
                ]),
            h36m=dict(
                type='MotionDataset',
                data_root='data/h36m/train',
                window=dict(kind='official', num_frames=243, stride=81),
                input_2d='exact',
                targets=['keypoints_image'],
                pipeline=[
                    dict(type='RandomFlip'),
                    dict(type='NormalizeCoords', target='image_space'),
                    dict(type='AddMixtureNoise'),
                    dict(type='SampleMask', joint_ratio=0.05, frame_ratio=0.1),
                    dict(type='PackInputs', fields=['target_3d']),
                ]))),
)
