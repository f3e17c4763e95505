"""Server-side apply: which manager owns which fields of an object, and what an apply makes of them."""
