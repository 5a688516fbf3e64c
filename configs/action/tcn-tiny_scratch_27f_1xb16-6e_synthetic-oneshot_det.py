_base_ = './dstformer-tiny_scratch_27f_1xb16-6e_synthetic-oneshot_det.py'
model = dict(backbone=dict(_delete_=True, type='TemporalConvNet', dim=16, channels=128, filter_widths=(3, 3, 3)))
