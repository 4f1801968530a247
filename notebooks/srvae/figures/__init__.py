"""The figures of the paper and of this project. Each is a function that returns a matplotlib Figure.

=============  =======================================================================================
style          sizes, colours, saving
sheet          rows of pictures at true pixels, with captions on dark bands
network        the architecture, with every shape traced from the live model
comparison     crops of all methods side by side at 4x and 8x; the hero figure of the README
samples        samples of one patch, their mean, spread and error, and the best fit of z
table          the paper's table with this project's rows
results        scores against the temperature, quality against time
cli            the command ``srvae draw``
=============  =======================================================================================

Plots of scores read data/results.csv. Pictures are computed from the shipped models with fixed seeds, and the numbers
below them from these pictures. All photographs are scikit-image's.
"""
