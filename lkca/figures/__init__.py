"""Drawing: tables and arrays in, figures out."""
