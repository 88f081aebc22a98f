"""Training kit of Qianmian: from exported events and feature matrices to embeddings and rankers, and into the server."""

__version__ = "0.1.0"
