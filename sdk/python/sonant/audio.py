"""Sound in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Audio"]


@dataclass(frozen=True, slots=True, eq=False)
class Audio:
    """Mono sound."""

    samples: NDArray[np.float32] = field(repr=False)
    """[count] float32, -1 to 1, contiguous."""
    sample_rate: int
    """Hz."""

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) / self.sample_rate
