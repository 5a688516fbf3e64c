# P-STMO, stage II: 7,009,382 parameters. Official: run.py --layers 4
_base_ = './pstmo-s.py'
model = dict(backbone=dict(depth=4))
