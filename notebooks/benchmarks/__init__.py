"""Benchmarks: image sets by name, the scores of data/results.csv, the README's tables, speed and memory.

=============  =======================================================================================
sets           image sets by name: bundled photographs, downloads, folders
evaluate       scores of models, bicubic and other methods, into data/results.csv; resumes
tables         the README's tables, made of the CSV files
speed          what a user waits for, and how much memory a large answer takes
cli            the command line of ``evaluate.py``
=============  =======================================================================================

Benchmark images are downloaded, or read from the folder that the environment variable SRVAE_BENCHMARKS names.
NIQE's model of natural photographs is downloaded, too, or read from the file that SRVAE_NIQE names.
"""
