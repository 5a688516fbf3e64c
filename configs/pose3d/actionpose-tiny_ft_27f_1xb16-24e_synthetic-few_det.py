# Lifting learnt from the 3D of twelve clips, one of each action; the class token stays in the sequence.
_base_ = ['../_base_/models/dstformer_tiny.py', '../_base_/datasets/pretrain_synthetic-lift_27f.py',
          '../_base_/schedules/adamw_onecycle.py', '../_base_/default_runtime.py']
model = dict(backbone=dict(type='ActionPoseEncoder', max_frames=27))
max_epochs = 24
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
param_scheduler = [dict(type='OneCycleLR', eta_max=2e-3, total_steps=max_epochs, pct_start=0.1, by_epoch=True,
                        convert_to_iter_based=True)]
load_from = 'work_dirs/actionpose-tiny_align-regions-windows_27f_1xb16-10e_synthetic-text_det/epoch_10.pth'
train_dataloader = dict(batch_size=16, dataset=dict(
    num_clips=12, split='few', window=dict(dilation=3), input_2d='detected',
    pipeline_changes=dict(AddDetectorNoise=None, SampleMask=None)))
val_dataloader = dict(dataset=dict(window=dict(dilation=3)))
test_dataloader = val_dataloader
