_base_ = './dstformer-tiny_ft_27f_1xb32-6e_cmu-actions_det.py'
model = dict(frozen=['backbone'])
