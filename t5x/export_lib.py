"""T5X's names for exporting a checkpoint."""

from clinical_t5x.export.saving import save
from clinical_t5x.export.t5x_names import (
    ExportableModule,
    create_batch_polymorphic_shapes,
    create_inference_function,
    create_postprocessor,
    create_preprocessor,
    create_preprocessor_from_task,
    write_warmup_examples,
)

__all__ = [
    "ExportableModule",
    "create_batch_polymorphic_shapes",
    "create_inference_function",
    "create_postprocessor",
    "create_preprocessor",
    "create_preprocessor_from_task",
    "save",
    "write_warmup_examples",
]
