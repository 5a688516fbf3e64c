# DSTformer on the two tasks of MPM that read 2D: masked 2D poses restored and lifted. It sees zeros for what is hidden.
_base_ = './mpm_mask_243f_1xb1024-100e_h36m_gt.py'
model = dict(
    backbone=dict(_delete_=True, type='DSTformer', num_joints=16, max_frames=243, dim=256, mlp_ratio=4.0),
    neck=[dict(type='JointsToFrame', num_joints=16, out_channels=256), dict(type='RestoreFrames', max_frames=243)],
)
train_dataloader = dict(batch_size=64, dataset=dict(
    datasets=dict(m3m=None), loss_weights=dict(_delete_=True, m2m=5.0, m2l=1.0)))
