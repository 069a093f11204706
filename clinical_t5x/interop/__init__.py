"""Checkpoints of every layout, read and written tensor by tensor, and the names in them.

- source: what every reader offers; recognise: which reader a path needs
- huggingface, t5x_names: names and shapes as tables
- huggingface_source, huggingface_writer: Hugging Face's directories, on top of weight_files,
  safetensors_file, torch_file (with tensor_pickle) and flax_file
- tokenizer (with charsmap), model_card: what lies beside Hugging Face's weights
- t5x_checkpoint, t5x_legacy: T5X's two layouts; native: ours; on top of orbax_files, zarr_arrays
  and stacked_tree
- extended, merged, watched: a source with rows for added tokens, without adapters, under watch
"""
