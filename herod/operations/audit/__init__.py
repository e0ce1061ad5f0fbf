"""The audit log: list and verify it, and keep it as long as the settings say."""

from herod.operations.audit.retention import AuditRetention, enforce_retention

__all__ = ["AuditRetention", "enforce_retention"]
