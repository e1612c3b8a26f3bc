"""What the outside sees: pages, JSON API, health. Views parse, call and answer."""
