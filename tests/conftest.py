"""Fixtures that all tests share; ``tests/generated.py`` makes what they hand out."""
import copy

import pytest
import torch

from tests.generated import TINY_MODEL, write_people_store, write_store
from tests.pyskl_files import write_tiny


@pytest.fixture(scope='session', autouse=True)
def one_thread():
    """Small tensors are slower on many threads, and the machine may be shared."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seed():
    """Every test draws the same numbers, alone or among others."""
    torch.manual_seed(0)


@pytest.fixture(scope='session')
def tiny_store(tmp_path_factory):
    """Path of a motion store of four clips, two actions and two cameras; tests must not change it."""
    return write_store(tmp_path_factory.mktemp('stores') / 'tiny')


@pytest.fixture(scope='session')
def people_store(tmp_path_factory):
    """Path of a motion store of a clip of two persons and a clip of one."""
    return write_people_store(tmp_path_factory.mktemp('stores') / 'people')


@pytest.fixture(scope='session')
def tiny_pyskl(tmp_path_factory):
    """Path of a pickle of PYSKL: three 2D clips, one of them of two persons."""
    return write_tiny(tmp_path_factory.mktemp('pyskl') / 'tiny.pkl')


@pytest.fixture
def tiny_model():
    """Config of a lifter of 9 frames that trains in milliseconds."""
    return copy.deepcopy(TINY_MODEL)
