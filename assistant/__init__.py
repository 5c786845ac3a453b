"""Assistant: from a question to an answer that can be defended.

questions   check and condense                  retrieve     search, fuse, fit the context
sufficiency can the documents answer?           prompt       the messages that are served
model       the NF4 model, streaming            quotes       the best words of the documents
support     is a sentence said by the evidence? citations    spans, computed
respond     write, check, cite                  answer       what a person reads
turn, traces  the record of an answer           service      all of it as one object
api, client over HTTP                           evaluate     numbers on labelled questions
"""
