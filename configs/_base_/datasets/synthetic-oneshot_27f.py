# Of the twelve actions eight are trained on; the other four are told apart by one exemplar of each.
_base_ = './synthetic-actions_27f.py'
known = ['walk', 'run', 'wave', 'squat', 'kick', 'bow', 'sit_down', 'throw']
novel = ['jump', 'punch', 'clap', 'turn']

train_dataloader = dict(
    batch_size=16,
    batch_sampler=dict(type='ClassPairSampler', samples_per_class=2),
    dataset=dict(classes=known, other_classes='leave_out'))
# Twelve motions of each class, each seen by four cameras.
val_dataloader = dict(dataset=dict(num_clips=144, classes=novel, other_classes='leave_out'))
test_dataloader = val_dataloader
# One exemplar is a matter of luck: the mean over a hundred draws.
val_evaluator = dict(_delete_=True, type='OneShotMetric', num_exemplars=1, num_draws=100)
test_evaluator = val_evaluator
