# 81 frames, every 3rd one.
_base_ = './pstmo-s_mask_243f_1xb160-80e_h36m-videopose3d_cpn.py'
window = dict(num_frames=81, dilation=3)
model = dict(backbone=dict(max_frames=81), neck=dict(max_frames=81))
train_dataloader = dict(dataset=dict(window=window))
val_dataloader = dict(dataset=dict(window=window))
test_dataloader = val_dataloader
