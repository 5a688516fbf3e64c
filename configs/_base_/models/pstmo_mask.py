# P-STMO, stage I: 3,315,620 parameters. Official: run.py --MAE --layers 4
_base_ = './pstmo-s_mask.py'
model = dict(backbone=dict(depth=4), heads=dict(masked=dict(depth=3)))
