# As synthetic_9f for models that lift the centre frame: dense windows, tested around every frame of fewer clips.
_base_ = './synthetic_9f.py'
train_dataloader = dict(dataset=dict(window=dict(stride=3)))
val_dataloader = dict(dataset=dict(num_clips=12, window=dict(_delete_=True, kind='centre', num_frames=9)))
test_dataloader = val_dataloader
