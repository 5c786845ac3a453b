"""The version of the code, as it stands in every release."""

from importlib.metadata import version

CODE_VERSION = version("provenant")
