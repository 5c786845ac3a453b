"""Assistant: from a question to an answer that can be defended.

questions    check; what kind is asked for       retrieve      search, fuse, look inside, read, fit the context
reader       question and passage together       product_query what a query asks of a catalogue
fusion       one score from two searches         named_documents  which are meant, what is asked of them
sufficiency  can the documents answer?           prompt        the messages that are served
model        the NF4 model, streaming            quotes        the best words of the documents
support      is a sentence said by the evidence? citations     spans, computed
verbatim     runs of the passages or a refusal, nothing else
guards       documents are data                  disclosure    secrets and personal data, by policy
respond      write, check, cite                  answer        what a person reads
adapter      what is served beside the base      adapted       its refusal, its runs of the passages
turn, traces the record of an answer             service       all of it as one object
answer_conflicts  who says otherwise             differences   what two sentences state otherwise
product_*    answers from the catalogue's records
cpu_*, gpu_* compiled decoding                   gpu_decoding  many users on one GPU
clauses      every clause, with a count          clause_*      compare, standard, export; obligations, conflicts
api, client  over HTTP                           evaluate      golden, metrics, bootstrap, scorecard, ranking
"""
