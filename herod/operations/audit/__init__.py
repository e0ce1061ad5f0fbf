"""The audit log: read, verified, and kept as long as the settings say."""

from herod.operations.audit.retention import AuditRetention, enforce_retention

__all__ = ["AuditRetention", "enforce_retention"]
