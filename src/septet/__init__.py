"""Septet: one trained model, served in one command."""
