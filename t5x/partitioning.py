"""T5X's name for `clinical_t5x.partitioning`."""

from clinical_t5x.partitioning import PjitPartitioner, standard_logical_axis_rules

__all__ = ["PjitPartitioner", "standard_logical_axis_rules"]
