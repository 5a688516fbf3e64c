# From scratch: MPVE 99.1, MPJPE 85.5, PA-MPJPE 50.2 mm (table 3). Official: configs/mesh/MB_train_pw3d.yaml
_base_ = './dstformer-base_ft_16f_1xb128-60e_3dpw_darkpose.py'
optim_wrapper = dict(optimizer=dict(lr=1e-4), paramwise_cfg=dict(backbone_lr_mult=1.0))
load_from = None
