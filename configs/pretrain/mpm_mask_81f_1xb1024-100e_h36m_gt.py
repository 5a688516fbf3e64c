# MPM of 81 frames, stage I.
_base_ = './mpm_mask_243f_1xb1024-100e_h36m_gt.py'
model = dict(backbone=dict(max_frames=81), neck=dict(max_frames=81))
window = dict(num_frames=81)
train_dataloader = dict(dataset=dict(datasets=dict(
    m2m=dict(window=window), m3m=dict(window=window), m2l=dict(window=window))))
val_dataloader = dict(dataset=dict(window=window))
test_dataloader = val_dataloader
