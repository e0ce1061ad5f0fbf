"""The audit log: list and verify it, and keep it as long as the settings say."""

from herod.operations.audit.audit_log import AuditEntry, audit_entry
from herod.operations.audit.retention import AuditRetention, enforce_retention

__all__ = ["AuditEntry", "AuditRetention", "audit_entry", "enforce_retention"]
