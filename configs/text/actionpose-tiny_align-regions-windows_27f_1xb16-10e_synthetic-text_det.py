# Alignment with texts; single joints and frames, regions of the body or stretches of time hidden.
_base_ = ['../_base_/models/actionpose_tiny.py', '../_base_/datasets/synthetic-text_27f.py',
          '../_base_/schedules/adamw_text.py', '../_base_/text_runtime.py']
max_epochs = 10
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
optim_wrapper = dict(optimizer=dict(lr=1e-3), paramwise_cfg=dict(lr_mults={'heads.text.text_encoder': 1.0}))
param_scheduler = [dict(type='OneCycleLR', eta_max=1e-3, total_steps=max_epochs, pct_start=0.1, by_epoch=True,
                        convert_to_iter_based=True)]
load_from = 'work_dirs/dstformer-tiny_lift-noise-mask_27f_1xb32-12e_synthetic_exact/epoch_12.pth'
# Retrieval, recognition by sentences of each action, and lifting.
val_evaluator = [
    dict(type='TextRetrievalMetric', class_texts=dict(
        walk=['a person walks straight ahead'],
        run=['a person runs straight ahead'],
        jump=['a person jumps forward once', 'a person jumps up once'],
        squat=['a person squats once'],
        wave=['a person waves the left hand', 'a person waves the right hand'],
        bow=['a person bows politely'],
        punch=['a person throws a punch with the left hand', 'a person throws a punch with the right hand'],
        kick=['a person kicks with the left foot', 'a person kicks with the right foot'],
        clap=['a person claps'],
        sit_down=['a person sits down'],
        turn=['a person turns to the left', 'a person turns to the right'],
        throw=['a person throws something with the left hand', 'a person throws something with the right hand'])),
    dict(type='Pose3DMetric')]
test_evaluator = val_evaluator
