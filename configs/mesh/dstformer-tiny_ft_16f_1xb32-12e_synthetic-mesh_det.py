_base_ = './dstformer-tiny_scratch_16f_1xb32-12e_synthetic-mesh_det.py'
# The paper's tenth, for a backbone that is trained already beside a head that begins anew.
optim_wrapper = dict(paramwise_cfg=dict(backbone_lr_mult=0.1))
load_from = 'work_dirs/dstformer-tiny_lift-noise-mask_27f_1xb32-12e_synthetic_exact/epoch_12.pth'
