"""What the pages for signing in share: where one lands, forms that wait for it, passkeys."""
