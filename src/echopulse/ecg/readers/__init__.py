"""One reader per family of files; `echopulse.ecg.read` chooses among them by content."""
