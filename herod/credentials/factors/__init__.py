"""The cryptography of passkeys, authenticator apps and recovery codes."""
