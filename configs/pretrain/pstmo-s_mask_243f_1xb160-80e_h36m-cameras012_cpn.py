# Generalisation to other views: stage I sees the first three cameras, stage II the fourth.
_base_ = './pstmo-s_mask_243f_1xb160-80e_h36m-videopose3d_cpn.py'
cameras = ['*54138969', '*55011271', '*58860488']
train_dataloader = dict(dataset=dict(include=cameras))
val_dataloader = dict(dataset=dict(include=cameras))
test_dataloader = val_dataloader
