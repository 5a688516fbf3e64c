_base_ = './dstformer-tiny_scratch_16f_1xb32-12e_synthetic-mesh_det.py'
model = dict(backbone=dict(_delete_=True, type='TemporalConvNet', dim=16, channels=128, filter_widths=(3, 3, 3)))
