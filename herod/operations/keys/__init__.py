"""API keys: create, list, rotate, disable and delete them."""

from herod.operations.keys.create_list_delete import make_key, put_key
from herod.operations.keys.list_filters import UNUSED_SECONDS

__all__ = ["UNUSED_SECONDS", "make_key", "put_key"]
