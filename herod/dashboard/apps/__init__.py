"""What the pages about apps show: names, scopes in plain words, connected apps, the form."""
