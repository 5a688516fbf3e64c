# MMPose's configs/_base_/default_runtime.py, with checkpoints that torch >= 2.6 reads and that say what they hold.
default_scope = 'mmpose'
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='CheckpointHook', interval=10, save_best='MPJPE', rule='less', max_keep_ckpts=1),
    sampler_seed=dict(type='DistSamplerSeedHook'))
# Seeds every step, so that a resumed run draws the same dropout.
custom_hooks = [dict(type='SyncBuffersHook'), dict(type='motionbert_mm.PlainCheckpointHook'),
                dict(type='motionbert_mm.StepSeedHook')]
env_cfg = dict(cudnn_benchmark=False, mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
               dist_cfg=dict(backend='nccl'))
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='Pose3dLocalVisualizer', vis_backends=vis_backends, name='visualizer')
log_processor = dict(type='LogProcessor', window_size=50, by_epoch=True, num_digits=6)
log_level = 'INFO'
load_from = None
resume = False
val_cfg = dict()
test_cfg = dict()
# Millimetres; the mean over all frames, as of MMPose's own metric, which writes metres.
val_evaluator = dict(type='motionbert_mm.Pose3DMetricForMMPose', protocol='mmpose')
test_evaluator = val_evaluator
