# The head of MMAction2's graph networks, which averages joints too: any backbone fits.
_base_ = './dstformer-base_scratch_243f_1xb32-300e_ntu60-xsub_hrnet.py'
model = dict(cls_head=dict(_delete_=True, type='GCNHead', num_classes=60, in_channels=512))
