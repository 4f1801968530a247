"""Benchmarks: image sets by name, the scores of data/results.csv, tables of them, speed and memory.

=============  =======================================================================================
sets           image sets by name: bundled photographs, downloads, folders
answers        what a model is asked for: the settings, and its answers with them
peers          other methods' answers, which lie in files
jobs           the rows of the results to be
results        data/results.csv: its columns, and the rows of single images beside it
scoring        the scores of answers, image by image, and their means
evaluate       scores of models, bicubic and other methods, into data/results.csv; resumes
tables         the long tables of Paper_Figures, made of the CSV files
words          what the numbers say, in sentences made of them
summary        the README's table of one screen, with these words
speed          what a user waits for, and how much memory a large answer takes
cli            the command line of ``srvae evaluate``
=============  =======================================================================================

Benchmark images are downloaded, or read from the folder that the environment variable SRVAE_BENCHMARKS names.
NIQE's model of natural photographs is downloaded, too, or read from the file that SRVAE_NIQE names. The VGG distance
needs a VGG-19 file of the user's, which --vgg or the environment variable SRVAE_VGG names.
"""
