# Masked pose modelling with TCN, which sees zeros in place of what is hidden.
_base_ = './pstmo-s_mask_243f_1xb160-80e_h36m-videopose3d_cpn.py'
model = dict(
    backbone=dict(_delete_=True, type='TemporalConvNet'),
    neck=[dict(type='JointsToFrame', out_channels=256), dict(type='RestoreFrames', out_channels=128)],
)
