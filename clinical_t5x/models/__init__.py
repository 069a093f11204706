"""T5: from features to logits, losses and decoded tokens.

In reading order: `config` (the numbers of a model); `layers`, `attention`, `position` (the parts),
`lora` (adapters of them);
`stacks` (encoder and decoder); `network` (the T5 that joins them); `cache` (what decoding
remembers); `losses`; `decoding` (greedy, sampling, beam search); `encoder_decoder` (the model that
training and evaluation use); `activations` (where a partitioner says how activations are laid out);
`flops` (what a training step costs) and `accelerators` (what devices can do at most).

This package knows nothing of the rest of the project.
"""
