_base_ = './dstformer-tiny_scratch_27f_1xb32-10e_synthetic-actions_det.py'
model = dict(backbone=dict(_delete_=True, type='TemporalConvNet', dim=16, channels=128, filter_widths=(3, 3, 3)))
