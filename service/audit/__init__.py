"""The audit trail: what happened to accounts, when, and from where."""
