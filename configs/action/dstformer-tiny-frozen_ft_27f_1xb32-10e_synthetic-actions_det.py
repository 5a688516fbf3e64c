_base_ = './dstformer-tiny_ft_27f_1xb32-10e_synthetic-actions_det.py'
model = dict(frozen=['backbone'])
