"""A shop that has workers make its reports."""
