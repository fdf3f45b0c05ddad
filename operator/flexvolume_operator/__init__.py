"""Puts FlexVolume drivers on nodes, proves that they answer there, and keeps them there."""

__version__ = "0.1.0"
