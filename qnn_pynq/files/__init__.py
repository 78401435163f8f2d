"""Files that nobody vouches for: JSON fields, arrays, paths, downloads, progress."""
