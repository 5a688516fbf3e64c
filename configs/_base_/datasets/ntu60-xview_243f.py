# Official: configs/action/MB_ft_NTU60_xview.yaml.
_base_ = './ntu60-xsub_243f.py'
train_dataloader = dict(dataset=dict(split='xview_train'))
val_dataloader = dict(dataset=dict(split='xview_val'))
test_dataloader = val_dataloader
