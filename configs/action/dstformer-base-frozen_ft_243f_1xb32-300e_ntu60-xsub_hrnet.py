# A probe of the pretrained features: the representation layer and the head learn, the backbone does not.
_base_ = './dstformer-base_ft_243f_1xb32-300e_ntu60-xsub_hrnet.py'
model = dict(frozen=['backbone'])
