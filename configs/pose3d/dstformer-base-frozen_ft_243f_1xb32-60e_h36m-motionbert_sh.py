# Table 4, frozen backbone: 40.3 mm pretrained, 404.4 mm random (load_from=None). The official code has no config for
# it; trained are the representation layer and the head.
_base_ = './dstformer-base_ft_243f_1xb32-60e_h36m-motionbert_sh.py'
model = dict(frozen=['backbone'])
