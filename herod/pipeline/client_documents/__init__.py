"""Fetching the documents of apps whose client id is a URL, for a person who has signed in."""
