_base_ = './dstformer-tiny_scratch_27f_1xb32-6e_cmu-actions_det.py'
optim_wrapper = dict(paramwise_cfg=dict(backbone_lr_mult=0.1))
# Pretrained on other motion: the synthetic clips are not those of motion capture.
load_from = 'work_dirs/dstformer-tiny_lift-noise-mask_27f_1xb32-12e_synthetic_exact/epoch_12.pth'
