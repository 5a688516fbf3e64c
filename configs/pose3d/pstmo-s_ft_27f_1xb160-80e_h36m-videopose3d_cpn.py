# 27 frames, every 9th one: 46.1 mm; 48.2 with every frame (table 5).
_base_ = './pstmo-s_scratch_243f_1xb160-80e_h36m-videopose3d_cpn.py'
window = dict(num_frames=27, dilation=9)
model = dict(backbone=dict(max_frames=27), neck=dict(num_frames=27))
train_dataloader = dict(dataset=dict(window=window))
val_dataloader = dict(dataset=dict(window=window))
test_dataloader = val_dataloader
load_from = 'work_dirs/pstmo-s_mask_27f_1xb160-80e_h36m-videopose3d_cpn/epoch_158.pth'
