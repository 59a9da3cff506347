"""What a derived index says when its files cannot be trusted."""


class Damaged(Exception):
    """Files of a derived index are odd: nothing is lost, the index is built anew from the log."""
