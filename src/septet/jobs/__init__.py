"""Accepted work: requests that are answered later, the workers that answer them, and who asks for the answers."""
