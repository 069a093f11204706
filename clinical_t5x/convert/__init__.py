"""`python -m clinical_t5x.convert`: checkpoints from and to Hugging Face, T5X and our layout.

- __main__: the command
- beside: the files that lie beside the weights of a Hugging Face directory
"""
