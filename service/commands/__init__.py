"""Parts of the command line. `service/__main__.py` has the rest."""
