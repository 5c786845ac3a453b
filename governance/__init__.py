"""Governance: names, kinds and digests; never a tensor or a vector. Every other package may import it.

errors      the one tree of errors              settings   one frozen tree of settings
digests     identity is content                 store      the records (SQLAlchemy, migrations)
release     manifests and the live channel      trace      DecisionTraces
access      principals and labels               jobs       queued work and its worker
locks       locks that tell who holds them      models     the model folder (model_catalogue, _pull, _wheels)
"""
