# From scratch: MPVE 75.7, MPJPE 62.8, PA-MPJPE 41.0 mm (table 3). Official: configs/mesh/MB_train_h36m.yaml
_base_ = './dstformer-base_ft_16f_1xb128-60e_h36m-mosh_sh.py'
train_cfg = dict(max_epochs=100)
optim_wrapper = dict(optimizer=dict(lr=1e-4), paramwise_cfg=dict(backbone_lr_mult=1.0))
load_from = None
