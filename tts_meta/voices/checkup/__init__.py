"""The clip doctor: what is good and bad about recordings before a voice is made of them, in sentences with their fix."""
