"""Registration: claims, flights and the username cache. Only this package decides "taken"."""
