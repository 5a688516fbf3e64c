# Instead of a class token the average of all features of MotionBERT's encoder.
_base_ = './actionpose-tiny_align_27f_1xb16-10e_synthetic-text_det.py'
model = dict(backbone=dict(_delete_=True, type='DSTformer', max_frames=27, dim=64, depth=2, num_heads=2))
