"""``apply_repairs()`` for ``custom_imports`` of a host's config, which act before the host imports its models."""
from motionbert_mm.integrations.compat import apply_repairs

APPLIED = apply_repairs()
