from tts_meta.cli import main

main()
