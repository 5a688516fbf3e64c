# The published size, for your own clips on a GPU: windows of 243 frames, 8.1 seconds at 30 frames per second.
_base_ = ['../_base_/models/dstformer_base_action.py', '../_base_/datasets/own-actions_27f.py',
          '../_base_/schedules/adamw_action.py', '../_base_/action_runtime.py']
train_cfg = dict(max_epochs=100)
train_dataloader = dict(num_workers=4, dataset=dict(window=dict(num_frames=243, dilation=1, stride=81)))
val_dataloader = dict(num_workers=4, dataset=dict(window=dict(num_frames=243, dilation=1, stride=81)))
test_dataloader = val_dataloader
load_from = 'work_dirs/dstformer-base_lift-noise-mask-2d_243f_1xb64-90e_amass-h36m_exact/epoch_90.pth'
