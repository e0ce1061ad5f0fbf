"""The one road of every request, the operation table's form, and what every operation is written with."""
