"""Helpers of the stories."""
