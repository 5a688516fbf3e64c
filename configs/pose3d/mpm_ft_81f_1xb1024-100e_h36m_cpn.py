# MPM of 81 frames, stage II: 43.6 mm published (table 1).
_base_ = './mpm_ft_243f_1xb1024-100e_h36m_cpn.py'
model = dict(backbone=dict(max_frames=81), neck=dict(num_frames=81))
window = dict(num_frames=81)
train_dataloader = dict(dataset=dict(window=window))
val_dataloader = dict(dataset=dict(window=window))
test_dataloader = val_dataloader
load_from = 'work_dirs/mpm_mask_81f_1xb1024-100e_h36m_gt/epoch_100.pth'
