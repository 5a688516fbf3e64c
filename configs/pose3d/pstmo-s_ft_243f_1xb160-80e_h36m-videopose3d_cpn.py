# Stage II of P-STMO-S from stage I: 43.0 mm (table 1). Official: as scratch, and --MAE_reload 1
_base_ = './pstmo-s_scratch_243f_1xb160-80e_h36m-videopose3d_cpn.py'
load_from = 'work_dirs/pstmo-s_mask_243f_1xb160-80e_h36m-videopose3d_cpn/epoch_158.pth'
