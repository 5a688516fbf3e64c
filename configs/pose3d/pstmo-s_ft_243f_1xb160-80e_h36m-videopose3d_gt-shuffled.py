# Robustness (table 8), to test a checkpoint of ..._gt: 57.7 mm, without stage I 59.4.
_base_ = './pstmo-s_ft_243f_1xb160-80e_h36m-videopose3d_gt.py'
val_dataloader = dict(dataset=dict(pipeline_changes=dict(ShuffleFrames=dict(prob=1.0))))
test_dataloader = val_dataloader
