# 27 frames, every 9th one.
_base_ = './pstmo-s_mask_243f_1xb160-80e_h36m-videopose3d_cpn.py'
window = dict(num_frames=27, dilation=9)
model = dict(backbone=dict(max_frames=27), neck=dict(max_frames=27))
train_dataloader = dict(dataset=dict(window=window))
val_dataloader = dict(dataset=dict(window=window))
test_dataloader = val_dataloader
