"""The only place that talks to the Kubernetes API.

Everything above it takes and returns values; everything that can fail because of a network, a
server or another writer is dealt with in here.
"""
