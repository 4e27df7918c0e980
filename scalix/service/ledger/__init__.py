"""Keeping the books true and small: check, mend, archive, retention."""
