# 3DPW and images of COCO in every epoch, Human3.6M in the first 20 (MoSh, IMUs, EFT); tested on 3DPW.
#   python tools/dataset_converters/motionbert_mesh.py h36m mesh_det_h36m.pkl data/mesh/h36m
#   python tools/dataset_converters/motionbert_mesh.py coco mesh_det_coco.pkl data/mesh/coco
#   python tools/dataset_converters/motionbert_mesh.py pw3d mesh_det_pw3d.pkl data/mesh/pw3d
# Official: configs/mesh/MB_*_pw3d.yaml (clip_len 16, data_stride 8, batch_size 128, batch_size_img 512, warmup_h36m 20,
# warmup_coco 100, train_pw3d), train_mesh.py.
_base_ = './h36m-mosh_16f.py'
pipeline = [
    dict(type='RandomFlip'),
    dict(type='NormalizeCoords', target=None),
    dict(type='PackInputs', fields=['smpl_pose', 'smpl_betas']),
]
targets = ['smpl_pose', 'smpl_betas']
window = dict(kind='official', num_frames=16, stride=8)

train_dataloader = dict(
    batch_sampler=dict(type='SourceBatchSampler', order=['h36m', 'coco', 'pw3d'], batch_sizes=dict(coco=512)),
    dataset=dict(
        _delete_=True,
        type='MixedDataset',
        datasets=dict(
            h36m=dict(type='MotionDataset', data_root='data/mesh/h36m/train', window=window,
                      input_2d='detected', targets=targets, pipeline=pipeline),
            coco=dict(type='MotionDataset', data_root='data/mesh/coco/train', window=dict(num_frames=1),
                      input_2d='detected', targets=targets, pipeline=pipeline),
            pw3d=dict(type='MotionDataset', data_root='data/mesh/pw3d/train', window=window,
                      input_2d='detected', targets=targets, pipeline=pipeline))),
)
val_dataloader = dict(dataset=dict(data_root='data/mesh/pw3d/test'))
test_dataloader = val_dataloader
