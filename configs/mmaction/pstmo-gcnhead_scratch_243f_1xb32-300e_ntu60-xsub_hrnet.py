_base_ = './dstformer-base-gcnhead_scratch_243f_1xb32-300e_ntu60-xsub_hrnet.py'
model = dict(backbone=dict(backbone=dict(_delete_=True, type='PSTMOEncoder', in_channels=3)))
