# 81 frames, every 3rd one: 44.1 mm; 45.6 with every frame (table 5).
_base_ = './pstmo-s_scratch_243f_1xb160-80e_h36m-videopose3d_cpn.py'
window = dict(num_frames=81, dilation=3)
model = dict(backbone=dict(max_frames=81), neck=dict(num_frames=81))
train_dataloader = dict(dataset=dict(window=window))
val_dataloader = dict(dataset=dict(window=window))
test_dataloader = val_dataloader
load_from = 'work_dirs/pstmo-s_mask_81f_1xb160-80e_h36m-videopose3d_cpn/epoch_158.pth'
