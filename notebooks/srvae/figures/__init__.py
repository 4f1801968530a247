"""The figures: those of the paper, and those that a paper on sampling wants. One function each.

=============  =======================================================================================
style          sizes, colours, how a figure is saved
sheet          pictures at true pixels in rows, with their words on dark bands
crops          the numbers beside pictures: data/crops.csv
network        the architecture, every shape traced from the live model
comparison     crops of all methods side by side, at 4x and at 8x; the first look, of both
samples        samples of one patch, their mean, spread and error, and the best that z could do
table          the paper's table with this project's rows
results        the walk over temperatures, which samples are worth showing, quality against time
cli            the command line of ``srvae draw``
=============  =======================================================================================

Figures with scores only draw what data/results.csv holds. Those that show pictures compute them from the shipped
models with fixed seeds and crops. The command also measures the crops, into data/crops.csv, and it is from there that
figures take the numbers beside them. What is committed shows scikit-image's photographs only.
"""
