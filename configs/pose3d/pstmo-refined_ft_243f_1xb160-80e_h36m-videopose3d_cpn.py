# P-STMO with its refine module: 42.1 mm with the true depth of the root, also in tests (table 1, *).
# Official: run.py --refine. How the official pair of networks (epoch 6, 42.15 mm) was trained is not documented.
_base_ = './pstmo_ft_243f_1xb160-80e_h36m-videopose3d_cpn.py'
model = dict(heads=dict(
    _delete_=True,
    centre=dict(type='RefinedPoseHead', source='centre', losses=[dict(type='MPJPELoss')])))
train_dataloader = dict(dataset=dict(pipeline=[
    dict(type='RandomFlip'),
    dict(type='NormalizeCoords', target='root_relative'),
    dict(type='RootDepthOracle'),
    dict(type='PackInputs', fields=['target_3d']),
]))
val_dataloader = dict(dataset=dict(pipeline=[
    dict(type='NormalizeCoords', target='root_relative'),
    dict(type='RootDepthOracle'),
    dict(type='PackInputs', fields=['keypoints_3d', 'keypoints_2d', 'confidence']),
]))
test_dataloader = val_dataloader
load_from = 'work_dirs/pstmo_ft_243f_1xb160-80e_h36m-videopose3d_cpn/epoch_158.pth'
