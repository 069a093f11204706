"""Encoders and decoders of Hugging Face, fine-tuned with PyTorch on the three benchmarks.

- reading: the examples of the registered SeqIO tasks, and the raw fields behind them
- settings: hyperparameters and presets
- problems, windows: texts become rows of token ids, a model's outputs become answers
- loading, lora: models with a head, and small adapters for large ones
- batches, trial, saving: training that can be killed at any moment
- predictor: the fine-tuned model behind the `Predictor` protocol
- run: learning rates tried, the best one kept and scored

Nothing here imports TensorFlow into the process that has torch: on some machines the two crash
together, so that `reading` asks a process of its own.
"""
