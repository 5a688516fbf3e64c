"""Keep freed memory in the process, so that the large tensors of every step need no new pages of the system."""
from __future__ import annotations

import ctypes
import os
import sys
from typing import Optional

SWITCH = 'MOTIONBERT_MM_KEEP_MEMORY'  # environment; 0 leaves the allocator as it is
# Names and numbers of glibc's malloc.h.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
NEVER = 2 ** 31 - 1
STEP_BYTES = 64 << 20  # by which the heap grows


def keep_freed_memory() -> bool:
    """Let the C allocator keep what the program frees, for the rest of the process and the workers it forks.

    By default glibc takes every large tensor fresh from the system and gives it back, and the system clears all its
    pages each time. With this, memory that was used once is used again; the process stays as large as it ever was.
    Nothing changes on CUDA memory, which PyTorch keeps anyway.

    Returns:
        Whether it took effect: on Linux with glibc, unless the environment has ``MOTIONBERT_MM_KEEP_MEMORY=0``.
    """
    libc = None if os.environ.get(SWITCH) == '0' else _glibc()
    if libc is None:
        return False
    settings = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, NEVER), (M_TOP_PAD, STEP_BYTES))
    return all(libc.mallopt(name, value) == 1 for name, value in settings)


def give_back_freed_memory() -> None:
    """Return to the system what is kept now; the next tensors take new pages once."""
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def _glibc() -> Optional[ctypes.CDLL]:
    """Return the C library of this process if it is glibc; musl, macOS and Windows have other allocators."""
    if not sys.platform.startswith('linux'):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, 'gnu_get_libc_version') and hasattr(libc, 'mallopt') else None
