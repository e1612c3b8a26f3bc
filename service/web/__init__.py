"""What clients see: pages, JSON API and health. Views parse, call and respond."""
