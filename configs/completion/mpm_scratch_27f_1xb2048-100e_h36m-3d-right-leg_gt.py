# Tests mpm_scratch_..._h36m-3d_gt.py: 15.1 or 14.2 mm published (table 4), see docs/completion.md.
_base_ = './mpm_scratch_27f_1xb2048-100e_h36m-3d_gt.py'
test_dataloader = dict(dataset=dict(pipeline_changes=dict(SampleJointGroups=dict(groups=['right_leg']))))
