"""Meeting other libraries. Each file imports its library only when it is used; NumPy is always
there."""
