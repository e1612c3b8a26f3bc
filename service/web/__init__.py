"""What clients see: pages, JSON API, health. Views parse, call and respond."""
