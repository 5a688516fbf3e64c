# NTU RGB+D 120, one-shot: train on 100 classes, all subjects and views; test on the 20 others, one exemplar each.
# Official: configs/action/MB_ft_NTU120_oneshot.yaml (clip_len 100, batch 32 as 16 pairs), lib/data/dataset_action.py.
_base_ = './ntu60-xsub_243f.py'
# Every sixth class is new: A001, A007, ... A115.
novel = [f'*A{number:03d}' for number in range(1, 121, 6)]
ann_file = 'data/action/ntu120_hrnet.pkl'

train_dataloader = dict(
    batch_sampler=dict(type='ClassPairSampler', samples_per_class=2),
    dataset=dict(ann_file=ann_file, split=None, exclude=novel, window=dict(num_frames=100)))
val_dataloader = dict(dataset=dict(ann_file=ann_file, split=None, include=novel, window=dict(num_frames=100)))
test_dataloader = val_dataloader
# The protocol of NTU RGB+D 120 (Liu et al., TPAMI 2019) names these samples.
val_evaluator = dict(_delete_=True, type='OneShotMetric', exemplars=[
    f'S{1 if number <= 55 else 18:03d}C003P008R001A{number:03d}' for number in range(1, 121, 6)])
test_evaluator = val_evaluator
