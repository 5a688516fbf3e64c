default_scope = 'motionbert_mm'
randomness = dict(seed=0)

default_hooks = dict(
    runtime_info=dict(type='RuntimeInfoHook'),
    timer=dict(type='IterTimerHook'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    logger=dict(type='MainProcessLoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    # More than one is kept: the newest may be torn if the machine dies while it is written.
    checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=2, save_best='MPJPE', rule='less'),
)
# Batch norms see the share of their process; what they note is averaged before it is measured and saved.
custom_hooks = [dict(type='StepSeedHook'), dict(type='SyncBuffersHook'), dict(type='PlainCheckpointHook')]

env_cfg = dict(cudnn_benchmark=False, mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
               dist_cfg=dict(backend='nccl'))
log_processor = dict(type='LogProcessor', window_size=50, by_epoch=True)
visualizer = dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')])
log_level = 'INFO'
load_from = None
resume = False

val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
