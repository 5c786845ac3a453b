"""Training data of the reader: groups of a question with passages that answer it and near misses.

    python -m finetune.reader_data DATA_FOLDER OUT_FILE

Split by document, so that nothing a figure is reported on was ever trained on: of five parts of the labelled
contracts one is `test`, one `dev` (calibration and tuning), three `train`; the other sets have no `dev`. Documents and
products that the samples show are left out. Passages are cut by the tokens of the embedder in the model folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from finetune import reader_contracts, reader_headings, reader_products, reader_tables
from finetune.reader_groups import Group, GroupFile, Split, split_of, write_groups
from finetune.reader_material import Material
from finetune.reader_questions import load_phrasings
from governance.errors import ProvenantError
from governance.settings import load_settings
from ingest.embed import load_embedder

__all__ = ["SOURCES", "Split", "main", "make_data", "split_of"]

SOURCES = {
    **reader_contracts.SOURCES,
    **reader_tables.SOURCES,
    **reader_headings.SOURCES,
    **reader_products.SOURCES,
}
_SAMPLES = Path(__file__).parent.parent / "samples"


def make_data(material: Material) -> GroupFile:
    """Return the groups of all sources. Raises BadInput where a set is not in the folder."""
    phrasings = load_phrasings()
    contracts = reader_contracts.read_contracts(material)
    agreements = reader_contracts.read_agreements(material)
    groups: list[Group] = [
        *reader_contracts.cuad_groups(material, contracts, phrasings),
        *reader_contracts.legalbench_groups(material, contracts, agreements),
        *reader_contracts.definition_groups(material, contracts, phrasings),
        *reader_tables.tatqa_groups(material),
        *reader_headings.heading_groups(material, contracts.values(), phrasings),
        *reader_products.product_groups(material, phrasings),
    ]
    asked = {group.document for group in groups if group.touched is not None}
    documents = {name: one.passages for name, one in sorted((contracts | agreements).items()) if name in asked}
    return GroupFile(SOURCES, tuple(groups), documents)


def main() -> None:
    """Write the groups of a folder of labelled sets to a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA_FOLDER")
    parser.add_argument("out", type=Path, metavar="OUT_FILE")
    parser.add_argument("--samples", type=Path, default=_SAMPLES, help="what must stay out of the training data")
    parser.add_argument("--embedder", default="all-minilm-l6-v2", help="whose tokens passages are cut by")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    try:
        tokens = load_embedder(load_settings().models, arguments.embedder)
        material = Material(arguments.data, arguments.samples, tokens, arguments.seed)
        write_groups(arguments.out, make_data(material))
    except ProvenantError as error:
        parser.exit(error.exit_code, f"{error}\n")


if __name__ == "__main__":
    main()
