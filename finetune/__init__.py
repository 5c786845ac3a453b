"""Finetune: adapters fitted to the tasks of this product.

    reader_data       command: labelled sets to one file of training groups
      reader_groups     Passage, Candidate, Group, the split by document, the file
      reader_documents  labelled documents: passages in place, near misses by word overlap
      reader_questions  how people ask (reader_questions.toml)
      reader_contracts  CUAD, LegalBench-RAG, definitions
      reader_headings   headings of handbook pages, policies and contracts as questions
      reader_tables     TAT-QA
      reader_products   catalogue records
    reader_train      command: groups to the adapter that `assistant.reader_convert` merges, and its manifest
      reader_batches    groups as tensors
      reader_model      the encoder with low-rank updates and three heads
      reader_losses     ranking, answerability, span
      reader_scores     all passages of a document, read against a question
      reader_mine       near misses that an earlier adapter takes for answers
      reader_manifest   what a training run states about itself
    reader_check      command: p@1, AUROC and span F1 of an adapter, by source

    data              examples of a collection, for `provenant finetune data`
      examples          TrainingExample, the folder, the served prompt
      example_*         questions, contexts, checks, imports, labels, sources, report
    adapter_data      command: the examples of the shipped adapter
    train             examples to an adapter: the loop
      recipe            what decides an adapter
      encoding, packing   examples as ids, ids as packs and steps
      model             base and adapter in one pass (layers, projection, frozen, attention, lora, elementwise, kernels)
      base_folder, base_weights   frozen weights
      shards            a part of them in each process
      optimizers, eva, held_out, checkpoints, workers, pace
      adapters          the PEFT folder and its manifest
      adapter_card      its README.md; command: write it anew
    plan              LoRA or QLoRA: plan_shape, plan_memory, plan_time, plan_lengths, plan_text, plan.toml
    runs, runs_mlflow records of runs, and MLflow's file store
      spikes            how often a loss left its course
    quantize          cost of levels: quantize_levels, quantize_measure, quantize_traffic
    compare           base and adapters: answering, scores, refusal, loading, general, compare_text
    export            merged bf16 and GGUF (export_gguf), each checked

Nothing here runs while the product serves.
"""
