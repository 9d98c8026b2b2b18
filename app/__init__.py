"""The Gradio page and the HTTP API."""
