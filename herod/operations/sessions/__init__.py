"""Browser sessions: opened, listed, ended, and handed over from a terminal."""
