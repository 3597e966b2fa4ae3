"""A double of an ArangoDB 3.12 server for tests: the real driver talks HTTP to it, and it executes the AQL sent."""

from support.arango.errors import Problem
from support.arango.server import ArangoDouble

__all__ = ["ArangoDouble", "Problem"]
