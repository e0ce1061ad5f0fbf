"""People: their sessions, passkeys and second factors, as far as identification needs them."""
