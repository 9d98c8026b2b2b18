"""What people bring: recordings and their texts, read, checked, cut, and kept ready for a clone."""
