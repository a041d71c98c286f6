"""A scene made sharper: file to file, in strips of rows, within a given memory."""
