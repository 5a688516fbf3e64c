# The data as the official code makes them; official action weights, converted, are tested with this config.
_base_ = ['../_base_/models/dstformer_base_action.py', '../_base_/datasets/ntu60-xsub-official_243f.py',
          '../_base_/schedules/adamw_action.py', '../_base_/action_runtime.py']
model = dict(heads=dict(action=dict(num_classes=60)))
load_from = 'work_dirs/dstformer-base_lift-noise-mask-2d_243f_1xb64-90e_amass-h36m_exact/epoch_90.pth'
