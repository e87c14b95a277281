"""The command of ``manage.py``."""

__all__ = ()
