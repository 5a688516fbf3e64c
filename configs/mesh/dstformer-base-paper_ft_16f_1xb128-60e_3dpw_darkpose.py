# As the paper describes it, where the official code differs: 512 hidden channels, absolute differences of coordinates
# and of joint angles, lengths of pose and shape apart. The paper gives no weights; those of the official terms stay.
_base_ = './dstformer-base_ft_16f_1xb128-60e_3dpw_darkpose.py'
model = dict(heads=dict(mesh=dict(
    hidden_channels=512,
    losses=[
        dict(type='CoordinateL1Loss', weight=0.5),
        dict(type='VelocityLoss', weight=10.0),
    ],
    smpl_losses=[
        dict(type='SMPLAxisAngleLoss', weight=1000.0),
        dict(type='SMPLShapeLoss', weight=1.0),
        dict(type='SMPLNormLoss', joint=False, weight=20.0),
    ])))
