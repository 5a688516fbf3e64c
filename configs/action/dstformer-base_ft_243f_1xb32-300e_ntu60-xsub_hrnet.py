# Cross-subject, finetuned: 93.0 % top-1. Official: configs/action/MB_ft_NTU60_xsub.yaml
_base_ = ['../_base_/models/dstformer_base_action.py', '../_base_/datasets/ntu60-xsub_243f.py',
          '../_base_/schedules/adamw_action.py', '../_base_/action_runtime.py']
model = dict(heads=dict(action=dict(num_classes=60)))
# Or official weights, converted: python tools/model_converters/motionbert.py latest_epoch.bin pretrained.pth
load_from = 'work_dirs/dstformer-base_lift-noise-mask-2d_243f_1xb64-90e_amass-h36m_exact/epoch_90.pth'
