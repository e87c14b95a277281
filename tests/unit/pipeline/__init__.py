"""The pipeline without sockets."""
