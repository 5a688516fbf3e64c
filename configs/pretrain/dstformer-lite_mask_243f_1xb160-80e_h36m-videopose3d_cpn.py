# Masked pose modelling with DSTformer, which sees zeros in place of what is hidden.
_base_ = './pstmo-s_mask_243f_1xb160-80e_h36m-videopose3d_cpn.py'
model = dict(
    backbone=dict(_delete_=True, type='DSTformer', max_frames=243, dim=256, mlp_ratio=4.0),
    neck=[dict(type='JointsToFrame', out_channels=256), dict(type='RestoreFrames', out_channels=128)],
)
