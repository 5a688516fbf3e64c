# Cross-view, from scratch: 94.1 % top-1. Official: configs/action/MB_train_NTU60_xview.yaml (1e-4 for all)
_base_ = './dstformer-base_ft_243f_1xb32-300e_ntu60-xview_hrnet.py'
optim_wrapper = dict(optimizer=dict(lr=1e-4), paramwise_cfg=dict(backbone_lr_mult=1.0))
load_from = None
