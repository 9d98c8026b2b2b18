"""The voice file: its header, its schema, the folder of voices."""
