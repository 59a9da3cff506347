"""Embedders: texts to vectors. ``port`` says what one is; ``hashing`` and ``lsa`` need nothing but the collection itself."""
