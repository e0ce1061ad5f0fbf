"""Copies of the audit log that leave the store as its rows are written: a file, and the daemon's own log."""

from herod.audit_copies.audit_file import open_audit_file
from herod.audit_copies.running_copies import AuditCopies

__all__ = ["AuditCopies", "open_audit_file"]
