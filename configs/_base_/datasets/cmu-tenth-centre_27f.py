# The scarce 3D of cmu-tenth_9f for models that lift the centre frame: dense windows, tested around every frame.
_base_ = './cmu-tenth_9f.py'
train_dataloader = dict(batch_size=64, dataset=dict(window=dict(num_frames=27, stride=3)))
val_dataloader = dict(dataset=dict(window=dict(_delete_=True, kind='centre', num_frames=27)))
test_dataloader = val_dataloader
