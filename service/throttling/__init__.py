"""Limits on what a client may do in a while. Every guess at a password is charged before it is
checked, and given back if it was right. Nothing here knows about accounts or requests."""
