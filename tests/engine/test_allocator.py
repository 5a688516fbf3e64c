import os
import subprocess
import sys

import pytest

from motionbert_mm.engine import allocator
from tests.generated import load_tool

HAS_GLIBC = allocator._glibc() is not None
# Page faults of ten tensors of 40 MB, one after the other, before and after the call, and what the call returned.
COUNT_FAULTS = '''
import resource
import torch
from motionbert_mm.engine.allocator import give_back_freed_memory, keep_freed_memory

def faults():
    for _ in range(2):
        torch.ones(10_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(10_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    with open('/proc/self/statm') as file:
        return int(file.read().split()[1]) * resource.getpagesize()

before = faults()
took_effect = keep_freed_memory()
after, kept = faults(), resident()
give_back_freed_memory()
print(before, after, int(took_effect), kept - resident())
'''


def count_faults(**environment):
    run = subprocess.run([sys.executable, '-c', COUNT_FAULTS], env={**os.environ, **environment}, check=True,
                         stdout=subprocess.PIPE, text=True)
    return map(int, run.stdout.split())


@pytest.mark.skipif(not HAS_GLIBC, reason='needs glibc')
def test_large_tensors_need_no_new_pages_and_memory_can_be_given_back():
    before, after, took_effect, given_back = count_faults(MOTIONBERT_MM_KEEP_MEMORY='1')
    assert took_effect
    assert before > 100
    assert after < before / 20
    assert given_back > 30e6


@pytest.mark.skipif(not HAS_GLIBC, reason='needs glibc')
def test_environment_turns_it_off():
    before, after, took_effect, _ = count_faults(MOTIONBERT_MM_KEEP_MEMORY='0')
    assert not took_effect
    assert after > before / 2


@pytest.mark.parametrize('platform', ['darwin', 'win32'])
def test_other_systems_are_left_alone(monkeypatch, platform):
    monkeypatch.setattr(allocator.sys, 'platform', platform)
    monkeypatch.setattr(allocator.ctypes, 'CDLL', None)  # not even asked
    assert not allocator.keep_freed_memory()


def test_other_c_libraries_are_left_alone(monkeypatch):
    monkeypatch.setattr(allocator.sys, 'platform', 'linux')
    monkeypatch.setattr(allocator.ctypes, 'CDLL', lambda name: object())  # as musl, without mallopt
    assert not allocator.keep_freed_memory()
    allocator.give_back_freed_memory()


@pytest.mark.parametrize('name', ['train.py', 'test.py', 'infer.py'])
def test_tools_keep_freed_memory_before_anything_else(monkeypatch, name):
    class Called(Exception):
        pass

    def call():
        raise Called

    tool = load_tool(name)
    monkeypatch.setattr(tool, 'keep_freed_memory', call)
    with pytest.raises(Called):
        tool.main()
