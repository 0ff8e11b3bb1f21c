"""Mixed precision by Keras's names: ``set_global_policy("mixed_bfloat16")`` before the layers are made.

It is for GPUs, whose tensor cores multiply such numbers faster; a CPU widens them and is about as fast as with float32.
"""

from fastnn.config import dtype_policy, set_dtype_policy
from fastnn.dtype_policies import DTypePolicy
from fastnn.errors import refuse_names

__all__ = ["DTypePolicy", "Policy", "dtype_policy", "global_policy", "set_dtype_policy", "set_global_policy"]

refuse_names(__name__)

Policy = DTypePolicy
global_policy = dtype_policy
set_global_policy = set_dtype_policy
