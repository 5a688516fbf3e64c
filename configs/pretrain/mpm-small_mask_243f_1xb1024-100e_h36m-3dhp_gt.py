# MPM, stage I, at the small scale of table 5: a half of Human3.6M and a quarter of MPI-INF-3DHP.
_base_ = './mpm_mask_243f_1xb1024-100e_h36m-3dhp-amass_gt.py'


def parts():
    """What changes in the stores of a task."""
    return dict(datasets=dict(h36m=dict(fraction=0.5), mpi_inf_3dhp=dict(fraction=0.25), amass=None))


train_dataloader = dict(dataset=dict(datasets=dict(m2m=parts(), m3m=parts(), m2l=parts())))
