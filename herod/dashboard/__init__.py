"""The browser's door: pages over the same operations as every other door. Imported when the first browser comes."""
