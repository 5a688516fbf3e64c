# Cross-subject, finetuned: 93.0 % top-1 published. Official: configs/action/MB_ft_NTU60_xsub.yaml (1e-3, backbone 1e-4)
_base_ = './dstformer-base_scratch_243f_1xb32-300e_ntu60-xsub_hrnet.py'
# A pretraining of this package, or official weights: python tools/model_converters/motionbert.py latest_epoch.bin OUT
model = dict(backbone=dict(init_cfg=dict(
    type='Pretrained',
    checkpoint='work_dirs/dstformer-base_lift-noise-mask-2d_243f_1xb64-90e_amass-h36m_exact/epoch_90.pth')))
optim_wrapper = dict(optimizer=dict(lr=1e-3), paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1)}))
