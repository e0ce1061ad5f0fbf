"""Operations: a folder for each capability, and the table that lists every operation."""
