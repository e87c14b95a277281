"""Looks at every page of the built site in a browser; ``nox -s site`` runs it."""
