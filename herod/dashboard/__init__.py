"""The dashboard: pages over the same operations as every other surface. Imported at the first browser request."""
