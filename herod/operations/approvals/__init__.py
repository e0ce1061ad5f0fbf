"""What apps ask for and a person must approve first: list it, show it, decide."""

from herod.operations.approvals.decisions import ApprovalView

__all__ = ["ApprovalView"]
