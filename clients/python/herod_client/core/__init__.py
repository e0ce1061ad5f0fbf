"""What the daemon and the services that ask it both need, once: errors, scopes and grants, key and token formats.

Knows neither the daemon nor the client around it.
"""
