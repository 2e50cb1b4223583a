"""hactl keeps a medical image archive up."""

__version__ = "0.1.0"
