"""What a sound is measured by: likeness, words, quality, distortion. Knows no voice."""
