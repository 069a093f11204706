"""All hosts of a run read the same data: said at the start, not found out from a strange loss.

Hosts without a common file system have a data home each, and prepare it each at its own pace.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from clinical_t5x.console import UserError

# A host that has its token store may wait this long for one that is still writing its own.
_PATIENCE_MS = 24 * 3600 * 1000

_meetings = itertools.count()


def meet_with_the_same_data(batches: Mapping[str, Any]) -> None:
    """Wait until every host has opened its data, and see that it is the same everywhere.

    Args:
      batches: what was opened, by purpose; what has a `manifest_hash` is compared.

    Raises:
      UserError: hosts have different data; the message names them.
    """
    if jax.process_count() == 1:
        return
    from jax.experimental import multihost_utils
    from orbax.checkpoint import multihost

    # By the coordinator, which waits as long as it is told; collectives give up on their own.
    wait = multihost.get_barrier_sync_fn()
    wait(key=f"clinical_t5x data {next(_meetings)}", timeout_ms=_PATIENCE_MS)
    for purpose in sorted(batches):
        digest = getattr(batches[purpose], "manifest_hash", None)
        if digest is None:
            continue
        mine = np.frombuffer(digest.encode().ljust(64)[:64], np.uint8)
        found = multihost_utils.process_allgather(mine)
        differing = np.flatnonzero((found != found[0]).any(axis=1))
        if len(differing):
            hosts = ", ".join(map(str, differing[:16]))
            raise UserError(
                f"the {purpose} data of host {hosts} is not that of host 0: give every host the "
                "same data home (TFDS data set, vocabulary) and the same version of this project, "
                "or a shared one such as gs://... by --data_dir"
            )
