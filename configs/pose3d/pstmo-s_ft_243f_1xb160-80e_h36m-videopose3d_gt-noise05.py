# Robustness (table 8), to test a checkpoint of ..._gt: 69.5 mm, without stage I 70.9.
_base_ = './pstmo-s_ft_243f_1xb160-80e_h36m-videopose3d_gt.py'
val_dataloader = dict(dataset=dict(pipeline_changes=dict(AddGaussianNoise=dict(std=0.05))))
test_dataloader = val_dataloader
