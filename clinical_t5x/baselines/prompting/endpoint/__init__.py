"""Servers that speak OpenAI's completions or chat API, with the standard library alone.

- address: where a server is, and whether notes may be sent there
- wire: what is sent and what a reply must look like
- sending: one attempt over HTTP, and what its outcome means
- patience: rate limits, and how long to wait before the next attempt
- spending: prices, estimates, and the most that may be spent
- server: all of it as an `Answerer`, many requests at a time
"""
