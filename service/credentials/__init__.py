"""What people prove who they are with. Nothing here knows about accounts."""
