"""Other people's models on the same examples, metrics and results store as ours.

- finetuning: encoders and decoders with a head, by Hugging Face and PyTorch
- prompting: models that answer a prompt, with demonstrations in it
- tiny: tiny random models in the real formats of all of them, to try everything without a download
"""
