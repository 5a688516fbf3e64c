# One-shot, from scratch: 61.0 %. Official: configs/action/MB_train_NTU120_oneshot.yaml
_base_ = './dstformer-base_ft_100f_1xb32-50e_ntu120-oneshot_hrnet.py'
load_from = None
