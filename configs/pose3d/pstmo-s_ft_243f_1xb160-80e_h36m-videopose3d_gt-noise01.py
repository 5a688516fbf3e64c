# Robustness (table 8), to test a checkpoint of ..._gt: 33.7 mm, without stage I 34.8.
_base_ = './pstmo-s_ft_243f_1xb160-80e_h36m-videopose3d_gt.py'
val_dataloader = dict(dataset=dict(pipeline_changes=dict(AddGaussianNoise=dict(std=0.01))))
test_dataloader = val_dataloader
