# MotionBERT in MMAction2's RecognizerGCN: NTU RGB+D 60, HRNet detections, cross-subject; 87.7 % top-1 published.
# Official: configs/action/MB_train_NTU60_xsub.yaml, lib/data/dataset_action.py and lib/model/model_action.py.
default_scope = 'mmaction'

model = dict(
    type='RecognizerGCN',
    backbone=dict(
        type='motionbert_mm.RecognizerBackbone',
        backbone=dict(type='DSTformer', max_frames=243, dim=512, depth=5, num_heads=8, mlp_ratio=2.0),
        neck=dict(type='RepresentationLayer', out_channels=512)),
    cls_head=dict(
        type='motionbert_mm.RecognizerHead',
        head=dict(type='ActionHead', in_channels=512, num_tokens=17, num_classes=60, hidden_channels=2048, drop=0.5,
                  losses=[dict(type='CrossEntropyLoss')])))

ann_file = 'data/skeleton/ntu60_2d.pkl'
train_pipeline = [
    dict(type='motionbert_mm.ResampleFrames', num_frames=243, jitter=True),
    dict(type='PoseDecode'),
    dict(type='motionbert_mm.RecognizerPipeline', num_persons=2, pipeline=[
        dict(type='AssociatePersons'),
        dict(type='ConvertSkeleton', target='h36m'),
        dict(type='RandomMove'),
        dict(type='NormalizeCoords', inputs='crop_scale', target=None, crop_range=[1, 3]),
        dict(type='ZeroMissing'),
    ]),
    dict(type='FormatGCNInput', num_person=2),
    dict(type='PackActionInputs'),
]
val_pipeline = [
    dict(type='motionbert_mm.ResampleFrames', num_frames=243),
    dict(type='PoseDecode'),
    dict(type='motionbert_mm.RecognizerPipeline', num_persons=2, pipeline=[
        dict(type='AssociatePersons'),
        dict(type='ConvertSkeleton', target='h36m'),
        dict(type='NormalizeCoords', inputs='crop_scale', target=None, crop_range=[2, 2]),
        dict(type='ZeroMissing'),
    ]),
    dict(type='FormatGCNInput', num_person=2),
    dict(type='PackActionInputs'),
]
test_pipeline = val_pipeline

train_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='PoseDataset', ann_file=ann_file, split='xsub_train', pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='PoseDataset', ann_file=ann_file, split='xsub_val', pipeline=val_pipeline, test_mode=True))
test_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='PoseDataset', ann_file=ann_file, split='xsub_val', pipeline=test_pipeline, test_mode=True))
val_evaluator = [dict(type='AccMetric')]
test_evaluator = val_evaluator

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=300, val_begin=1, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.01))
param_scheduler = [dict(type='ExponentialLR', gamma=0.99, by_epoch=True)]

default_hooks = dict(
    runtime_info=dict(type='RuntimeInfoHook'),
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=100, ignore_last=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=2, save_best='auto'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    sync_buffers=dict(type='SyncBuffersHook'))
# Checkpoints that every torch resumes, and that say what tools/model_converters/mmaction.py needs.
custom_hooks = [dict(type='motionbert_mm.PlainCheckpointHook')]
env_cfg = dict(cudnn_benchmark=False, mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
               dist_cfg=dict(backend='nccl'))
log_processor = dict(type='LogProcessor', window_size=20, by_epoch=True)
visualizer = dict(type='ActionVisualizer', vis_backends=[dict(type='LocalVisBackend')])
log_level = 'INFO'
load_from = None
resume = False
