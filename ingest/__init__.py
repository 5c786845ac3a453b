"""Ingest: from files to an index Generation that a release can answer from.

sources     which files, which names            parse/     one file in, one ParsedDocument out
documents   what a parser hands over            clauses    headings and numbers into Clauses
isolation   parsers in a process of their own (parser_worker), with caps and without network
chunks      Clauses into embedded slices        embed      texts into vectors
artefacts   what is kept by Digest              versions   what is in force, since when, for whom
index       one door to the engines (_edge, _server, _words)
publish     build aside, validate, switch       pipeline   the run as a whole
llama       the LlamaIndex door                 words, vocabulary   how words are compared and weighed
quality     how well a document was read        definitions   the terms a document defines
notes       footnotes into their Clauses
language    what language a text is in          numbers_written   numbers as lists print them
"""
