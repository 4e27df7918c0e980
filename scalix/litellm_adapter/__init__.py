"""The only package that imports litellm."""
