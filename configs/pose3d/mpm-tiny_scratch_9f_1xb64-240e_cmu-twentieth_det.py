# Scarce labels: 3 of the 62 clips that are not held out.
_base_ = './mpm-tiny_scratch_9f_1xb64-12e_cmu-heldout_det.py'
max_epochs = 240
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
param_scheduler = [dict(type='OneCycleLR', eta_max=1e-3, total_steps=max_epochs, pct_start=0.1, by_epoch=True,
                        convert_to_iter_based=True)]
train_dataloader = dict(dataset=dict(
    include=['*/basketball/basketball_1#*', '*/running/running_1#*', '*/walking/walking_1#*'], exclude=[]))
