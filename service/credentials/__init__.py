"""How people prove who they are. Nothing here knows about accounts."""
