# Finetuning when 3D is scarce: 6 of the 62 clips that are not held out, one of each action, with detected 2D.
_base_ = './cmu_27f.py'
train_dataloader = dict(dataset=dict(
    include=['*/basketball/basketball_1#*', '*/basketball_signal/basketball_signal_1#*', '*/jumping/jumping_1#*',
             '*/running/running_1#*', '*/soccer/soccer_1#*', '*/walking/walking_1#*'],
    exclude=[],
    window=dict(num_frames=9),
    input_2d='detected',
    pipeline_changes=dict(AddDetectorNoise=None),
))
val_dataloader = dict(dataset=dict(window=dict(num_frames=9)))
test_dataloader = dict(dataset=dict(include={{_base_.held_out}}, window=dict(num_frames=9)))
