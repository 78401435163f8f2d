"""C++ and Tcl of a described interface."""
