"""Benchmarks: image sets, the scores in data/results.csv, tables of them, speed and memory.

=========  ================================================================
sets       image sets by name: bundled photographs, downloads, folders
evaluate   scores of models and of bicubic enlargement, as data/results.csv
tables     Markdown tables of the CSV files in data/, also README's
speed      the seconds and the memory that answers take
cli        the command line of ``srvae evaluate``
=========  ================================================================

The environment variable SRVAE_BENCHMARKS names a folder of image sets, SRVAE_NIQE the file of NIQE's model, and
SRVAE_VGG a VGG-19 file. The first two are downloaded if the variable is not set.
"""
