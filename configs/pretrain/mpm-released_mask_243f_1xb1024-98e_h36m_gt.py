# Stage I in the schedule of the released code: 2D and 3D restored in every step, never lifted. The gradients of two
# batches of unpaired windows make one step. Official: README of MPM, --lr 0.0001 -lrd 0.97, 49 epochs.
_base_ = './mpm_mask_243f_1xb1024-100e_h36m_gt.py'
max_epochs = 98
train_cfg = dict(max_epochs=max_epochs)
train_dataloader = dict(dataset=dict(datasets=dict(m2l=None), loss_weights=dict(_delete_=True, m2m=5.0, m3m=2.0)))
optim_wrapper = dict(accumulative_counts=2, optimizer=dict(lr=1e-4))
param_scheduler = [dict(type='ExponentialLR', gamma=0.97**0.5, by_epoch=True)]
