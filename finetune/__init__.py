"""Finetune: adapters on the same corpus. Empty until its first feature; nothing imports it yet."""
