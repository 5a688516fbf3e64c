# DSTformer in front of the frame aggregator of P-STMO.
_base_ = './pstmo-s_scratch_243f_1xb160-80e_h36m-videopose3d_cpn.py'
model = dict(
    backbone=dict(_delete_=True, type='DSTformer', max_frames=243, dim=256, mlp_ratio=4.0),
    neck=[dict(type='JointsToFrame', out_channels=256), dict(type='StridedReduction', num_frames=243)],
)
