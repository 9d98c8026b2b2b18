"""Text to samples in a voice: a sentence, a long text, many texts, a book."""
