# One-shot, finetuned: 67.4 %, best after one or two epochs. Official: configs/action/MB_ft_NTU120_oneshot.yaml
_base_ = ['../_base_/models/dstformer_base_embed.py', '../_base_/datasets/ntu120-oneshot_100f.py',
          '../_base_/schedules/adamw_action.py', '../_base_/oneshot_runtime.py']
train_cfg = dict(max_epochs=50)
load_from = 'work_dirs/dstformer-base_lift-noise-mask-2d_243f_1xb64-90e_amass-h36m_exact/epoch_90.pth'
