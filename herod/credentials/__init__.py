"""The cryptography of credentials: keys, tokens, passwords, API keys and sealed envelopes.

Pure cryptography: no store, no clock (`now` is an argument), no I/O. Randomness comes from `secrets` alone.
"""
