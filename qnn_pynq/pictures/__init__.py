"""From pictures as people have them to the pixels that a network takes."""
