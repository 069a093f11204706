"""In-context learning: a model that is asked, with worked examples in the prompt.

- prompts: families of wordings for each benchmark, and how their answers are read
- answers: readers of free text, pure functions
- demonstrations: worked examples, drawn from the training split only
- rendering: prompts put together, within a budget of tokens
- replies: everything that was answered, on disk at once, so that nothing is asked twice
- own_t5, causal_model, endpoint: who answers
- predictor, selection, run: the prompt that is best on validation examples, and the test split once
"""
