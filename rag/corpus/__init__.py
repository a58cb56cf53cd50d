"""A corpus out of files: MedQuAD's XML, CSV, PDF, Markdown, HTML.

`rag.corpus.build` makes one, `rag.corpus.folder` reads it; `rag.corpus.shipped` has the small one
of the project's own words.
"""
