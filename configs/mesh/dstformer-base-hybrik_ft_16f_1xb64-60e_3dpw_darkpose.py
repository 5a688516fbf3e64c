# HybrIK refined by motion: MPVE 79.4, MPJPE 68.8, PA-MPJPE 40.6 mm (table 3). Another method: convert its files.
#   python tools/dataset_converters/motionbert_mesh.py h36m mesh_det_h36m_w_hybrik_pred.pkl data/mesh/h36m-hybrik
#   python tools/dataset_converters/motionbert_mesh.py coco mesh_det_coco_w_hybrik_pred.pkl data/mesh/coco-hybrik
#   python tools/dataset_converters/motionbert_mesh.py pw3d mesh_det_pw3d_w_hybrik_pred_hr48_w.pkl data/mesh/pw3d-hybrik
# Official: configs/mesh/MB_ft_pw3d_HybrIK.yaml (batch_size 64, dropout 0.5, hidden_dim 512).
_base_ = './dstformer-base_ft_16f_1xb128-60e_3dpw_darkpose.py'
targets = ['smpl_pose', 'smpl_betas', 'initial_pose', 'initial_betas']
pipeline = [
    dict(type='RandomFlip'),
    dict(type='NormalizeCoords', target=None),
    dict(type='PackInputs', fields=targets),
]
model = dict(heads=dict(mesh=dict(type='MeshRefineHead', hidden_channels=512, drop=0.5)))
train_dataloader = dict(batch_size=64, dataset=dict(datasets=dict(
    h36m=dict(data_root='data/mesh/h36m-hybrik/train', targets=targets, pipeline=pipeline),
    coco=dict(data_root='data/mesh/coco-hybrik/train', targets=targets, pipeline=pipeline),
    pw3d=dict(data_root='data/mesh/pw3d-hybrik/train', targets=targets, pipeline=pipeline))))
val_dataloader = dict(dataset=dict(data_root='data/mesh/pw3d-hybrik/test', targets=targets, pipeline=[
    dict(type='NormalizeCoords', target=None),
    dict(type='PackInputs', fields=[*targets, 'keypoints_2d', 'confidence']),
]))
test_dataloader = val_dataloader
