"""T5: from features to logits, losses and decoded tokens.

In reading order: `config` (the numbers of a model), `layers` (attention, MLP, norm), `network`
(encoder, decoder, and the `T5` that joins them), `cache` (what decoding remembers), `losses`,
`decoding` (greedy, beam search, sampling), `encoder_decoder` (the model that training and
evaluation use).

This package knows nothing of the rest of the project.
"""
