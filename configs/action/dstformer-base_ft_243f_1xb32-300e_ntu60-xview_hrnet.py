# Cross-view, finetuned: 97.2 % top-1. Official: configs/action/MB_ft_NTU60_xview.yaml
_base_ = ['../_base_/models/dstformer_base_action.py', '../_base_/datasets/ntu60-xview_243f.py',
          '../_base_/schedules/adamw_action.py', '../_base_/action_runtime.py']
model = dict(heads=dict(action=dict(num_classes=60)))
load_from = 'work_dirs/dstformer-base_lift-noise-mask-2d_243f_1xb64-90e_amass-h36m_exact/epoch_90.pth'
