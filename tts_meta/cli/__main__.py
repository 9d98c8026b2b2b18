"""`python -m tts_meta.cli`."""

from tts_meta.cli import main

main()
