"""The launch scripts: what they run, without running it."""
import subprocess

import pytest

from tests.generated import ROOT, tool_environment

SCRIPTS = {'dist_train.sh': 2, 'dist_test.sh': 3, 'slurm_train.sh': 3, 'slurm_test.sh': 4}


def run(tmp_path, script, *arguments, **environment):
    """Call a script with an interpreter, and a Slurm, that only repeat their arguments."""
    (tmp_path / 'srun').write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / 'srun').chmod(0o755)
    environment = tool_environment(**{'PYTHON': 'echo', 'PATH': f'{tmp_path}:/usr/bin:/bin', **environment})
    return subprocess.run([ROOT / 'tools' / script, *arguments], env=environment, cwd=tmp_path, capture_output=True,
                          text=True, check=False, timeout=20)


@pytest.mark.parametrize('script', SCRIPTS)
def test_too_few_arguments_print_the_usage(tmp_path, script):
    result = run(tmp_path, script, *['x'] * (SCRIPTS[script] - 1))
    assert result.returncode == 2 and result.stdout == ''
    assert f'tools/{script} ' in result.stderr


def test_one_machine_picks_a_free_port(tmp_path):
    words = run(tmp_path, 'dist_train.sh', 'c.py', '2', '--seed', '1').stdout.split()
    assert words == ['-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', '2', f'{ROOT}/tools/train.py',
                     'c.py', '--launcher', 'pytorch', '--seed', '1']


def test_several_machines_meet_at_the_address(tmp_path):
    result = run(tmp_path, 'dist_test.sh', 'c.py', 'm.pth', '8', '--tta', NNODES='2', NODE_RANK='1', MASTER_ADDR='host')
    assert '--nnodes 2 --node_rank 1 --master_addr host --master_port 29500 --nproc_per_node 8' in result.stdout
    assert result.stdout.endswith(f'{ROOT}/tools/test.py c.py m.pth --launcher pytorch --tta\n')


@pytest.mark.parametrize('script, arguments', [('slurm_train.sh', ['c.py']), ('slurm_test.sh', ['c.py', 'm.pth'])])
def test_slurm_gets_one_task_for_each_device(tmp_path, script, arguments):
    result = run(tmp_path, script, 'gpu', 'lift', *arguments, '--cfg-options', 'a=1', GPUS='4', SRUN_ARGS='-x n1 -t 5')
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith('-p gpu --job-name=lift --gres=gpu:4 --ntasks=4 --ntasks-per-node=4 ')
    tool = script.replace('slurm_', '').replace('.sh', '.py')
    assert result.stdout.endswith(f'-x n1 -t 5 echo -u {ROOT}/tools/{tool} {" ".join(arguments)} --launcher slurm '
                                  '--cfg-options a=1\n')
